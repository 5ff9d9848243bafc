//go:build !race

package proxies

const raceEnabled = false
