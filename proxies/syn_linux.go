package proxies

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledged has the kernel hold its answer to the SYN-ACK back for a moment, so that an RST can take its place:
// the far end's handshake stays incomplete and its accept never hears of the connection.
func unacknowledged(_, _ string, c syscall.RawConn) error {
	var err error
	if failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0) }); failed != nil {
		return failed
	}
	return err
}
