package proxies

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// door is a frontend's listening side.
type door struct {
	Front
	addr     string
	hold     io.Closer // keeps the port ours while nothing listens
	listener listener
	backends []Backend
	toxics   frontToxics
	disabled atomic.Bool

	accepting sync.WaitGroup // the accept loop
	crossing  sync.WaitGroup // the connections it let in
}

// listener accepts connections until it is closed, which accept then says with an error.
type listener interface {
	accept() (*leg, error)
	Close() error
	Addr() net.Addr
}

// openDoor listens, which puts connections into the backlog.
func openDoor(f Front) (*door, error) {
	if f.Listen == "" {
		f.Listen = "127.0.0.1:0"
	}
	addr, hold, err := holdPort(f.Listen, f.Shared)
	if err != nil {
		return nil, err
	}
	d := &door{Front: f, addr: addr, hold: hold}
	if err := d.reopen(); err != nil {
		return nil, errors.Join(err, hold.Close())
	}
	d.addr = d.listener.Addr().String()
	return d, nil
}

// reopen listens at the door's address.
func (d *door) reopen() error {
	// Keepalives of our own would be activity that the balancer under test does not have, and few balancers
	// speak multipath TCP, which Go's listeners offer by themselves.
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false)
	if d.Shared {
		config.Control = sharePort
	}
	l, err := config.Listen(context.Background(), "tcp", d.addr)
	if err != nil {
		return err
	}
	d.listener, err = newListener(l.(*net.TCPListener))
	return err
}

// reopenSoon is reopen for a door that has just been closed. A child that is being started at that moment holds a copy of
// the listening socket until it is another program: milliseconds, or up to seconds on a machine that has no time for it.
func (d *door) reopenSoon() error {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if err := d.reopen(); !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return err
		}
	}
}

// admit lets connections in, each handled in a goroutine of its own, so that none waits for another's
// dial. In a stall they stay in the backlog.
func (d *door) admit(b *Balancer) {
	l := d.listener
	d.accepting.Go(func() {
		for {
			near, err := l.accept()
			switch {
			case err == nil:
				b.clock.running(b.ctx.Done())
				d.crossing.Go(func() { b.receive(d, near) })
			case errors.Is(err, net.ErrClosed):
				return
			default:
				// Out of file descriptors, most likely: connections wait in the backlog meanwhile.
				b.lacks(fmt.Errorf("accepting at frontend %s: %w", d.Name, err))
				time.Sleep(acceptAgain)
			}
		}
	})
}

// acceptAgain is how long accepting rests after an error that may pass: short beside a client's
// patience of 2 s, long beside a busy loop.
const acceptAgain = 20 * time.Millisecond

// shut stops listening and accepting: those in the backlog are reset, those who connect refused. A
// door that could not be reopened is shut already.
func (d *door) shut() error {
	if d.listener == nil {
		return nil
	}
	err := d.listener.Close()
	d.accepting.Wait()
	d.listener = nil
	return err
}
