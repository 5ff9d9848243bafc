package proxies

import "golang.org/x/sys/unix"

// hungUp says how the far end of a socket ended, Close or Reset, without reading what waits in it;
// "" while it is alive.
func hungUp(fd uintptr) Ending {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	if n, err := unix.Poll(poll, 0); err != nil || n == 0 {
		return ""
	}
	if poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
		return Reset
	}
	return Close
}

// waitHangup waits, without reading, until the far end is gone, or for an error as read has them.
func (l *leg) waitHangup() (how Ending, err error) {
	err = l.raw.Read(func(fd uintptr) bool {
		how = hungUp(fd)
		return how != ""
	})
	return how, err
}

// readAhead reads nothing: waitHangup sees the end of a socket through bytes that wait in it.
func (l *leg) readAhead() error { return nil }

// wasReset says whether an end of stream was in truth an RST: the error of one is reported once, and
// a writer may have got it just before the reader. Only a socket that is still open for writing can
// tell.
func (l *leg) wasReset() (reset bool) {
	if l.kept != nil {
		return l.kept.wasReset(l)
	}
	l.raw.Control(func(fd uintptr) { reset = hungUp(fd) == Reset })
	return reset
}
