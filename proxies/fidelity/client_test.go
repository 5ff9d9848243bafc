package fidelity

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// client is a NATS client whose sockets are watched.
type client struct {
	*nats.Conn
	id uint64 // the server's name for it

	mu    sync.Mutex
	lines []*watched
}

// watched is one socket of a client's.
type watched struct {
	net.Conn
	mu   sync.Mutex
	last time.Time // the last byte either way
	end  string    // how it ended by itself: end of stream, reset; "" while it lives
	at   time.Time // when
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	if n > 0 {
		w.last = time.Now()
	}
	if err != nil && w.end == "" {
		w.at = time.Now()
		switch {
		case errors.Is(err, io.EOF):
			w.end = "end of stream"
		case errors.Is(err, syscall.ECONNRESET):
			w.end = "reset"
		case errors.Is(err, net.ErrClosed):
			w.end = "closed by the client"
		default:
			w.end = err.Error()
		}
	}
	return n, err
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	if n > 0 {
		w.last = time.Now()
	}
	return n, err
}

// ended waits until a socket has ended by itself, and says how and how long after the last byte.
func (w *watched) ended(within time.Duration) (how string, quiet time.Duration) {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		how, quiet = w.end, w.at.Sub(w.last)
		w.mu.Unlock()
		if how != "" {
			return how, quiet
		}
	}
	return "lives", 0
}

// Dial implements nats.CustomDialer.
func (c *client) Dial(network, addr string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, addr, 2*time.Second) // nats.go's own
	if err != nil {
		return nil, err
	}
	w := &watched{Conn: conn, last: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, w)
	return w, nil
}

func (c *client) line(n int) *watched {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines[n]
}

// connect opens a NATS client with nats.go's defaults and these options; it is closed with the attempt.
func (w *way) connect(options ...nats.Option) (*client, error) {
	c := &client{}
	all := append([]nats.Option{nats.SetCustomDialer(c), nats.IgnoreDiscoveredServers(), nats.PingInterval(time.Hour)}, options...)
	nc, err := nats.Connect("nats://"+w.addr, all...)
	if err != nil {
		return c, err
	}
	w.mu.Lock()
	w.open = append(w.open, nc)
	w.mu.Unlock()
	c.Conn = nc
	c.id, err = nc.GetClientID()
	return c, err
}

// outcome puts an error of connecting into the words that operators search for.
func outcome(err error) string {
	switch {
	case err == nil:
		return "connected"
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, os.ErrDeadlineExceeded), strings.Contains(err.Error(), "i/o timeout"):
		return "time-out"
	case errors.Is(err, io.EOF), strings.HasSuffix(err.Error(), "EOF"):
		return "end of stream"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case strings.Contains(strings.ToLower(err.Error()), "unknown protocol operation"):
		return "Unknown Protocol Operation"
	}
	return err.Error()
}

// What clients do.

// connects opens one connection and says what came of it, when, and as whom the server knows it.
func connects(options ...func(*way) nats.Option) func(*way) seen {
	return func(w *way) seen {
		var all []nats.Option
		for _, o := range options {
			all = append(all, o(w))
		}
		began := time.Now()
		c, err := w.connect(all...)
		s := seen{"connect": outcome(err), "after": time.Since(began)}
		if err == nil {
			own := c.line(0).LocalAddr().String()
			s["server knows"] = map[bool]string{true: "the client's address", false: "the balancer's address"}[w.servers[0].known(c.id) == own]
			s["round trip"] = outcome(c.Flush())
		}
		return s
	}
}

func timeout(d time.Duration) func(*way) nats.Option {
	return func(*way) nats.Option { return nats.Timeout(d) }
}

// encrypted is a client that wants TLS, with the balancer's or the server's certificate.
func encrypted(w *way) nats.Option { return nats.Secure(trusting(w.trust)) }

func tlsFirst(*way) nats.Option { return nats.TLSHandshakeFirst() }

// staysQuiet connects, says nothing more, and sees its connection end and come back.
func staysQuiet(w *way) seen {
	back := make(chan struct{}, 1)
	c, err := w.connect(nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		return seen{"connect": outcome(err)}
	}
	how, quiet := c.line(0).ended(15 * time.Second)
	ended := time.Now()
	s := seen{"ended by": how, "after": quiet, "server says": w.servers[0].farewell(c.id)}
	select {
	case <-back:
		s["back after"] = time.Since(ended)
	case <-time.After(10 * time.Second):
		s["back after"] = "never"
	}
	return s
}

// crowd connects that many clients at once and counts what becomes of them.
func crowd(n int) func(*way) seen {
	return func(w *way) seen {
		var mu sync.Mutex
		counts := map[string]int{}
		var slowest time.Duration
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				began := time.Now()
				_, err := w.connect()
				mu.Lock()
				defer mu.Unlock()
				counts[outcome(err)]++
				if err != nil {
					slowest = max(slowest, time.Since(began))
				}
			})
		}
		all.Wait()
		var words []string
		for what, count := range counts {
			words = append(words, fmt.Sprintf("%d %s", count, what))
		}
		slices.Sort(words)
		return seen{"of " + fmt.Sprint(n): strings.Join(words, ", "), "refused after": slowest}
	}
}

// livesThrough keeps a connection while something happens to the balancer, and opens another afterwards.
func livesThrough(event func(*way)) func(*way) seen {
	return func(w *way) seen {
		back := make(chan struct{}, 1)
		c, err := w.connect(nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
		if err != nil {
			return seen{"connect": outcome(err)}
		}
		event(w)
		how, _ := c.line(0).ended(time.Second)
		s := seen{"connection": how}
		if how == "lives" {
			s["round trip"] = outcome(c.Flush())
		} else {
			select {
			case <-back:
				s["back after"] = time.Since(c.line(0).at)
			case <-time.After(10 * time.Second):
				s["back after"] = "never"
			}
		}
		_, err = w.connect()
		s["a new one"] = outcome(err)
		return s
	}
}

// drained has the client's server taken out of rotation.
func drained(w *way) seen {
	c, err := w.connect()
	if err != nil {
		return seen{"connect": outcome(err)}
	}
	was := c.ConnectedServerName()
	w.drain(was)
	how, _ := c.line(0).ended(time.Second)
	s := seen{"connection": how, "round trip": outcome(c.Flush())}
	others := 0
	for range 4 {
		if next, err := w.connect(); err == nil && next.ConnectedServerName() != was {
			others++
		}
	}
	s["of 4 new ones, elsewhere"] = others
	return s
}

// isToldNow and then hears a message every second and says nothing itself.
func isToldNow(w *way) seen {
	c, err := w.connect()
	if err != nil {
		return seen{"connect": outcome(err)}
	}
	heard := make(chan *nats.Msg, 10)
	if _, err := c.ChanSubscribe("now", heard); err != nil {
		return seen{"subscribe": err.Error()}
	}
	if err := c.Flush(); err != nil {
		return seen{"flush": err.Error()}
	}
	direct, err := nats.Connect("nats://" + w.servers[0].addr)
	if err != nil {
		return seen{"publisher": err.Error()}
	}
	defer direct.Close()
	for range 6 { // twice the timeout
		if err := errors.Join(direct.Publish("now", nil), direct.Flush()); err != nil {
			return seen{"publish": err.Error()}
		}
		time.Sleep(time.Second)
	}
	how, _ := c.line(0).ended(time.Millisecond)
	return seen{"connection": how, "heard of 6": len(heard)}
}

// queues fills the balancer, waits behind its limit, and is let in when somebody leaves.
func queues(limit int) func(*way) seen {
	return func(w *way) seen {
		var inside []*client
		for range limit {
			c, err := w.connect()
			if err != nil {
				return seen{"connect": outcome(err)}
			}
			inside = append(inside, c)
		}
		let := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := w.connect(nats.Timeout(5 * time.Second))
			let <- err
		}()
		time.Sleep(time.Second)
		inside[0].Close()
		return seen{"connect": outcome(<-let), "after": time.Since(began)}
	}
}

// rawly talks to a backend of the test's own, which is handed both ends of one connection through the balancer.
func rawly(talk func(near, far *net.TCPConn) seen) func(*way) seen {
	return func(w *way) seen {
		near, err := net.Dial("tcp", w.addr)
		if err != nil {
			return seen{"connect": outcome(err)}
		}
		defer near.Close()
		far, err := w.servers[0].bare.Accept()
		if err != nil {
			return seen{"accept": err.Error()}
		}
		defer far.Close()
		return talk(near.(*net.TCPConn), far.(*net.TCPConn))
	}
}

// finds reads until something happens and says what.
func finds(c *net.TCPConn) string {
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	b := make([]byte, 64)
	n, err := c.Read(b)
	if err != nil {
		return outcome(err)
	}
	return string(b[:n])
}

// halfClosed says something, sends FIN, and is answered afterwards.
func halfClosed(near, far *net.TCPConn) seen {
	fmt.Fprint(near, "question")
	_ = near.CloseWrite()
	s := seen{"server hears": finds(far), "and then": finds(far)}
	fmt.Fprint(far, "answer")
	s["client hears"] = finds(near)
	return s
}

// resetByClient and resetByServer end one side by RST.
func resetByClient(near, far *net.TCPConn) seen {
	fmt.Fprint(near, "hello")
	s := seen{"server hears": finds(far)}
	_ = near.SetLinger(0)
	near.Close()
	s["server sees"] = finds(far)
	return s
}

func resetByServer(near, far *net.TCPConn) seen {
	fmt.Fprint(near, "hello")
	s := seen{"server hears": finds(far)}
	_ = far.SetLinger(0)
	far.Close()
	s["client sees"] = finds(near)
	return s
}

// babbles says what is no HTTP.
func babbles(w *way) seen {
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		return seen{"connect": outcome(err)}
	}
	defer c.Close()
	fmt.Fprint(c, "CONNECT {\"verbose\":false}\r\nPING\r\n")
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	said, err := io.ReadAll(c)
	words := append(strings.Fields(string(said)), "", "")
	return seen{"is told": words[0] + " " + words[1], "then": outcome(errors.Join(err, io.EOF))}
}
