//go:build !portable

package proxies

// portable has every flow carried by goroutines, as on systems without a loop of ours: go build -tags portable. It is for
// tests and measurements of that lane.
const portable = false
