//go:build linux

package kernel

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// prober sends segments in the name of either end of a connection.
type prober struct{ socket int }

// openProber gives one that sends nothing where the capability NET_RAW is missing: a connection that was cut then ends
// with what its ends say next.
func openProber() *prober {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil
	}
	if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_MARK, probeMark); err != nil { // untracked, as the rules have it
		unix.Close(s)
		return nil
	}
	return &prober{s}
}

// provoke sends a SYN on a connection, which has the end that gets it say where it is (RFC 5961).
func (p *prober) provoke(e ends) {
	if p == nil {
		return
	}
	b := syn(e)
	_ = unix.Sendto(p.socket, b, 0, &unix.SockaddrInet4{Addr: e.to.Addr().As4()}) // lost: the end learns it later by itself
}

func (p *prober) close() error { return unix.Close(p.socket) }

// syn is a packet with nothing but a SYN.
func syn(e ends) []byte {
	const ip, segment = 20, 20
	b := make([]byte, ip+segment)
	from, to := e.from.Addr().As4(), e.to.Addr().As4()
	b[0], b[8], b[9] = 4<<4|ip/4, 64, unix.IPPROTO_TCP // the kernel puts length and checksum in
	copy(b[12:], from[:])
	copy(b[16:], to[:])
	t := b[ip:]
	binary.BigEndian.PutUint16(t, e.from.Port())
	binary.BigEndian.PutUint16(t[2:], e.to.Port())
	t[12], t[13] = segment/4<<4, 0x02
	binary.BigEndian.PutUint16(t[14:], 0xffff) // window
	sum := uint32(unix.IPPROTO_TCP + segment)
	for _, part := range [][]byte{from[:], to[:], t} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum>>16 > 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(t[16:], ^uint16(sum))
	return b
}
