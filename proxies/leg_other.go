//go:build !linux

package proxies

// waitHangup waits until the leg is unblocked: this system does not tell about the end of a socket
// with bytes unread.
func (l *leg) waitHangup() (Ending, error) {
	return "", l.raw.Read(func(uintptr) bool { return false })
}

// wasReset is not known here: an RST that a writer hears of just before the reader may pass for the
// end of the stream.
func (l *leg) wasReset() bool { return false }
