//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"
)

// table is the connection table of this network namespace: a socket to hear of its changes and one to ask it.
type table struct {
	asked  *conntrack.Conn
	told   *conntrack.Conn
	events chan conntrack.Event
	failed chan error
}

// toldBuffer is the bytes of changes that wait for this process: thousands.
const toldBuffer = 4 << 20

func openTable() (*table, error) {
	asked, err := conntrack.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("opening the connection table: %w", err)
	}
	told, err := conntrack.Dial(nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the connection table: %w", err), asked.Close())
	}
	_ = told.SetReadBuffer(toldBuffer) // what it gets is up to a limit of the system's; what is lost is told
	t := &table{asked: asked, told: told, events: make(chan conntrack.Event)}
	t.failed, err = told.Listen(t.events, 1, []netfilter.NetlinkGroup{netfilter.GroupCTNew, netfilter.GroupCTUpdate, netfilter.GroupCTDestroy})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("asking to be told what changes in the connection table: %w", err), asked.Close(), told.Close())
	}
	return t, nil
}

// ask gives an entry and how long its timer has left, in whole seconds rounded down; ok is false if there is none. An
// entry whose time is up is gone with the question at the latest.
func (t *table) ask(orig ends) (e entry, left time.Duration, ok bool, err error) {
	f, err := t.asked.Get(conntrack.Flow{TupleOrig: tuple(orig)})
	switch {
	case errors.Is(err, unix.ENOENT):
		return e, 0, false, nil
	case err != nil:
		return e, 0, false, fmt.Errorf("asking the connection table: %w", err)
	}
	return entryOf(&f), time.Duration(f.Timeout) * time.Second, true, nil
}

// forget takes one entry out.
func (t *table) forget(e entry) error {
	err := t.asked.Delete(conntrack.Flow{TupleOrig: tuple(e.orig), TupleReply: tuple(e.reply)})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("deleting an entry of the connection table: %w", err)
	}
	return nil
}

// empty takes all of them out.
func (t *table) empty() error {
	if err := t.asked.Flush(); err != nil {
		return fmt.Errorf("emptying the connection table: %w", err)
	}
	return nil
}

func (t *table) close() error { return errors.Join(t.told.Close(), t.asked.Close()) }

func tuple(e ends) conntrack.Tuple {
	return conntrack.Tuple{
		IP:    conntrack.IPTuple{SourceAddress: e.from.Addr(), DestinationAddress: e.to.Addr()},
		Proto: conntrack.ProtoTuple{Protocol: unix.IPPROTO_TCP, SourcePort: e.from.Port(), DestinationPort: e.to.Port()},
	}
}

func endsOf(t conntrack.Tuple) ends {
	return ends{netip.AddrPortFrom(t.IP.SourceAddress, t.Proto.SourcePort), netip.AddrPortFrom(t.IP.DestinationAddress, t.Proto.DestinationPort)}
}

// closeInitiated is the table's flag of the direction from which the first FIN came (IP_CT_TCP_FLAG_CLOSE_INIT). In the
// attribute flags come first and then a mask of those that are told, each a byte.
const closeInitiated = 0x04

func entryOf(f *conntrack.Flow) entry {
	e := entry{orig: endsOf(f.TupleOrig), reply: endsOf(f.TupleReply)}
	if info := f.ProtoInfo.TCP; info != nil {
		e.state = tcpState(info.State)
		switch {
		case info.OriginalFlags>>8&closeInitiated != 0:
			e.initiator = "client"
		case info.ReplyFlags>>8&closeInitiated != 0:
			e.initiator = "server"
		}
	}
	e.sent = [2]traffic{
		{int64(f.CountersOrig.Packets), int64(f.CountersOrig.Bytes)},
		{int64(f.CountersReply.Packets), int64(f.CountersReply.Bytes)},
	}
	return e
}
