// Package backend is the stand-in that speaks as much NATS as a tester needs: placed behind a real load balancer, it
// says nothing that the tester did not ask for, and remembers how the other end of each connection fared.
//
//	tester ──► the load balancer ──► Backend: INFO, [TLS,] PING, SUB, PUB; and $LBTEST.connections
//
// It sends no PING of its own, which is what it is for: a nats-server's hide every idle limit above twice its interval.
// It lets everybody in, whatever they show, and keeps nothing of what they show.
package backend

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Version is what the stand-in calls itself in INFO: no release of nats-server looks like it.
const Version = "0.0.0-lbtest-backend"

// Connections is the subject on which it is asked for what it has seen; the answer is a View in JSON.
const Connections = "$LBTEST.connections"

// Backend is one stand-in with any number of listeners, each of which looks like a server of its own. A message
// that is published at one reaches the subscribers of all.
type Backend struct {
	listeners []*listener
	process   string
	encrypted Encryption
	note      func(Connection)
	serving   sync.WaitGroup

	mu      sync.Mutex
	live    map[uint64]*session
	closed  bool
	last    uint64 // the number of the last connection
	ended   []Connection
	dropped int
}

type listener struct {
	net.Listener
	id, name string
}

// Encryption is how a stand-in speaks TLS; without a Config it does not.
type Encryption struct {
	Config *tls.Config
	First  bool // before INFO, as a balancer wants it that encrypts towards its backends; after it otherwise
}

// Listen opens the addresses. Nobody is served before Serve. note hears of every connection that has ended, or is nil.
func Listen(addrs []string, encrypted Encryption, note func(Connection)) (*Backend, error) {
	process, err := identity()
	if err != nil {
		return nil, err
	}
	b := &Backend{process: process, encrypted: encrypted, note: note, live: map[uint64]*session{}}
	for i, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening at %s: %w", addr, err), b.Close())
		}
		id, err := identity()
		if err != nil {
			return nil, errors.Join(err, l.Close(), b.Close())
		}
		b.listeners = append(b.listeners, &listener{l, id, fmt.Sprintf("lbtest-backend-%d", i+1)})
	}
	return b, nil
}

// identity is a server's name for itself, as long as nats-server's.
func identity() (string, error) {
	random := make([]byte, 35) // 56 letters
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("drawing an identity: %w", err)
	}
	return base32.StdEncoding.EncodeToString(random), nil
}

// Addrs are the addresses, in the order in which they were given.
func (b *Backend) Addrs() []string {
	var all []string
	for _, l := range b.listeners {
		all = append(all, l.Addr().String())
	}
	return all
}

// Serve answers whoever comes until ctx ends. It returns when the last connection has ended.
func (b *Backend) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = b.Close() })() // once more below, where the error is told
	for _, l := range b.listeners {
		b.serving.Go(func() { b.accept(l) })
	}
	b.serving.Wait()
	return b.Close()
}

// accept takes connections until its listener is closed.
func (b *Backend) accept(l *listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors left, most likely: some connection will end
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s := b.enter(l, conn)
		b.serving.Go(func() {
			s.run()
			b.leave(s)
		})
	}
}

// most is how many connections are served at once: some hundred times what a measurement takes, and no load for a
// machine that a load balancer points the world at.
const most = 10000

// remembered is how many ended connections are kept: two hours of a health check every two seconds.
const remembered = 3600

func (b *Backend) enter(l *listener, conn net.Conn) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	s := newSession(b, l, b.last, conn)
	if b.closed || len(b.live) >= most {
		conn.Close()
	}
	b.live[s.number] = s
	return s
}

func (b *Backend) leave(s *session) {
	seen := s.seen(time.Now())
	b.mu.Lock()
	delete(b.live, s.number)
	b.ended = append(b.ended, seen)
	if len(b.ended) > remembered {
		b.ended = slices.Delete(b.ended, 0, 1)
		b.dropped++
	}
	b.mu.Unlock()
	if b.note != nil {
		b.note(seen)
	}
}

// publish delivers a message to every subscriber, wherever it is connected.
func (b *Backend) publish(m message) {
	b.mu.Lock()
	all := make([]*session, 0, len(b.live))
	for _, s := range b.live {
		all = append(all, s)
	}
	b.mu.Unlock()
	for _, s := range all {
		s.deliver(m)
	}
}

// Close ends the listeners and every connection.
func (b *Backend) Close() error {
	var errs []error
	for _, l := range b.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("closing the listener at %s: %w", l.Addr(), err))
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, s := range b.live {
		s.end()
	}
	return errors.Join(errs...)
}
