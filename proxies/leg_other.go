//go:build !linux

package proxies

// waitHangup waits until the leg is unblocked: this system does not tell about the end of a socket
// with bytes unread.
func (l *leg) waitHangup() (Ending, error) {
	return "", l.raw.Read(func(uintptr) bool { return false })
}

// readAhead reads what a far end sends before it is answered, until that end is gone or a chunk is full, since only
// reading tells of the end here. What comes after a full chunk hides it.
func (l *leg) readAhead() error {
	for len(l.ahead) < chunk {
		had := l.ahead
		l.ahead = nil
		data, err := l.read()
		l.ahead = append(had, data...)
		if err != nil {
			return err
		}
		release(data)
	}
	return nil
}

// wasReset is not known here: an RST that a writer hears of just before the reader may pass for the
// end of the stream.
func (l *leg) wasReset() bool { return false }
