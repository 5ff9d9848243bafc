//go:build portable

package proxies

const portable = true
