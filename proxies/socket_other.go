//go:build !linux

package proxies

// native needs nothing: sockets are in the hands of Go's poller from beginning to end.
func (l *leg) native() error { return nil }
