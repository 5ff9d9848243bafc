//go:build linux

package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// packet is what matters of one that the filter has logged.
type packet struct {
	ends
	fin, rst bool
}

// loggedBytes is the longest header of IPv4 and as much of TCP's as has the ports and the flags.
const loggedBytes = 60 + 14

// errNoTCP is for bytes that are no TCP packet of IPv4.
var errNoTCP = errors.New("no TCP packet of IPv4")

// parsePacket reads a packet's headers.
func parsePacket(b []byte) (p packet, err error) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != unix.IPPROTO_TCP {
		return p, errNoTCP
	}
	header := int(b[0]&0xf) * 4
	if header < 20 || len(b) < header+14 {
		return p, errNoTCP
	}
	segment := b[header:]
	p.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), binary.BigEndian.Uint16(segment))
	p.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), binary.BigEndian.Uint16(segment[2:]))
	p.fin, p.rst = segment[13]&1 != 0, segment[13]&4 != 0
	return p, nil
}

// Of linux/netfilter/nfnetlink_log.h.
const (
	logPacket, logConfig       = 0, 1    // message types
	configCommand, configMode  = 1, 2    // attributes of a configuration
	configQueue, configTimeout = 5, 4    // the same
	bind, copyPackets          = 1, 2    // a command, a mode
	packetPayload              = 9       // attribute of a packet
	subsystem                  = 4 << 8  // NFNL_SUBSYS_ULOG
	genericHeader              = 4       // bytes of nfgenmsg, before the attributes
	logBuffer                  = 4 << 20 // bytes of packets that wait for this process: more than any storm of a lab's
)

// openLog gives a socket on which the packets arrive that are logged to a group.
func openLog(group uint16) (*netlink.Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("opening the packet filter's log: %w", err)
	}
	mode := binary.BigEndian.AppendUint32(nil, loggedBytes)
	for _, a := range []netlink.Attribute{
		{Type: configCommand, Data: []byte{bind}},
		{Type: configMode, Data: append(mode, copyPackets, 0)},
		// Each packet at once: by default they are collected for a second.
		{Type: configTimeout, Data: binary.BigEndian.AppendUint32(nil, 1)},
		{Type: configQueue, Data: binary.BigEndian.AppendUint32(nil, 1)},
	} {
		attributes, err := netlink.MarshalAttributes([]netlink.Attribute{a})
		if err == nil {
			header := []byte{unix.AF_INET, unix.NFNETLINK_V0, byte(group >> 8), byte(group)}
			_, err = c.Execute(netlink.Message{
				Header: netlink.Header{Type: subsystem | logConfig, Flags: netlink.Request | netlink.Acknowledge},
				Data:   append(header, attributes...),
			})
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("asking for the packet filter's log %d: %w", group, err), c.Close())
		}
	}
	_ = c.SetReadBuffer(logBuffer) // what it gets is up to a limit of the system's; what is lost is told
	return c, nil
}

// readLog hands out the packets of a group until its socket is closed. Its error says that some were lost.
func readLog(c *netlink.Conn, heard func(packet)) error {
	for {
		messages, err := c.Receive()
		switch {
		case errors.Is(err, os.ErrClosed), errors.Is(err, unix.EBADF), err != nil && isClosed(err):
			return nil
		case err != nil:
			return fmt.Errorf("reading the packet filter's log: %w", err)
		}
		for _, m := range messages {
			if m.Header.Type != subsystem|logPacket || len(m.Data) < genericHeader {
				continue
			}
			attributes, err := netlink.UnmarshalAttributes(m.Data[genericHeader:])
			if err != nil {
				return fmt.Errorf("reading the packet filter's log: %w", err)
			}
			for _, a := range attributes {
				if a.Type == packetPayload {
					if p, err := parsePacket(a.Data); err == nil {
						heard(p)
					}
				}
			}
		}
	}
}

// isClosed tells a socket that was closed here from one in trouble: the library hands the poller's own error on.
func isClosed(err error) bool {
	var op *netlink.OpError
	return errors.As(err, &op) && op.Err != nil && op.Err.Error() == "use of closed file"
}
