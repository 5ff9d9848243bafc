//go:build !linux

package proxies

// writeAtOnce leaves everything to Go's means.
func (l *leg) writeAtOnce([]byte) int { return 0 }

// native needs nothing: sockets are in the hands of Go's poller from beginning to end.
func (l *leg) native() error { return nil }
