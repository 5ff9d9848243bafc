package suite

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// child runs a program as a child process on the loopback interface: a Host without networks.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

func startChild(t *testing.T) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = []string{self, balancerMode}
	cmd.Env = append(os.Environ(), topologies.ModeVariable+"="+balancerMode)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &child{cmd: cmd, in: in, out: out}
}

func (c *child) Read(p []byte) (int, error)  { return c.out.Read(p) }
func (c *child) Write(p []byte) (int, error) { return c.in.Write(p) }
func (c *child) Name() string                { return "localhost" }
func (c *child) Addr() string                { return "127.0.0.1" }
func (c *child) Outside() string             { return "127.0.0.1" }
func (c *child) Place(string) string         { return "127.0.0.1" }
func (c *child) Pause() error                { return c.cmd.Process.Signal(syscall.SIGSTOP) }
func (c *child) Resume() error               { return c.cmd.Process.Signal(syscall.SIGCONT) }
func (c *child) Kill() error                 { return c.cmd.Process.Kill() }
func (c *child) Close() error                { return errors.Join(c.in.Close(), c.cmd.Wait()) }

// heard collects what a balancer says it does.
type heard struct {
	mu     sync.Mutex
	events []proxies.Event
}

func (h *heard) note(e proxies.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *heard) kind(kind string) []proxies.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []proxies.Event
	for _, e := range h.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

func profileOf(t *testing.T, settings ...string) proxies.Profile {
	t.Helper()
	p := proxies.Profile{Name: "given", Seed: 7}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		var err error
		if p, err = p.With(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// echo answers every connection with what it says.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func TestABalancerElsewhereDoesWhatOneHereDoes(t *testing.T) {
	ctx := t.Context()
	var h heard
	r, err := openRemote(ctx, startChild(t), opening{profile: profileOf(t, "stall=100ms"), factor: 1, fronts: []proxies.Front{{Name: "n1"}, {Name: "n2"}}}, h.note)
	if err != nil {
		t.Fatal(err)
	}
	if r.Addr("n1") == r.Addr("n2") || r.Addr("n3") != "" {
		t.Errorf("got addresses %q, %q and %q", r.Addr("n1"), r.Addr("n2"), r.Addr("n3"))
	}
	if err := r.Serve(map[string][]proxies.Backend{"n1": {{Name: "n1", Addr: echo(t)}}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Serve(map[string][]proxies.Backend{"n3": {{Name: "n3", Addr: "127.0.0.1:1"}}}); err == nil || !strings.Contains(err.Error(), `"n3"`) {
		t.Errorf("serving a frontend that there is not: got %v", err)
	}
	c, err := net.Dial("tcp", r.Addr("n1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := echoed(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := r.Strike(ctx); err != nil {
		t.Fatal(err)
	}
	if stall, resume := h.kind(proxies.KindStall), h.kind(proxies.KindResume); len(stall) != 1 || len(resume) != 1 || resume[0].At.Sub(stall[0].At) < 100*time.Millisecond {
		t.Errorf("the strike is over: got stalls %v and resumes %v, want one each, 100ms apart", stall, resume)
	}
	begin := h.kind(proxies.KindBegin)
	if len(begin) != 1 || begin[0].ClientAddr != c.LocalAddr().String() || begin[0].FrontAddr != r.Addr("n1") {
		t.Fatalf("got %+v, want one connection from %s to %s", begin, c.LocalAddr(), r.Addr("n1"))
	}
	if err := r.Remove("n9"); err == nil || !strings.Contains(err.Error(), "n9") {
		t.Errorf("taking a backend out that there is not: got %v", err)
	}
	if err := errors.Join(r.Remove("n1"), r.Restore("n1")); err != nil || len(h.kind(proxies.KindRemoved)) != 1 || len(h.kind(proxies.KindRestoredBackend)) != 1 {
		t.Errorf("taking a backend out and putting it back: got %v and events %v", err, h.events)
	}
	if r.Cut("n1#99") || !r.Cut(begin[0].Conn) {
		t.Error("cut a connection that there is not, or not the one that there is")
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading from a connection that was cut: got %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if end := h.kind(proxies.KindEnd); len(end) != 1 || end[0].Up != int64(len("hello")) {
		t.Errorf("got ends %+v, want one after 5 bytes", end)
	}
	if err := r.Strike(ctx); err == nil {
		t.Error("a balancer that was closed can be told to strike")
	}
}

func echoed(c net.Conn, words string) error {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, words); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, len(words)))
	return err
}

func TestAnEventElsewhereEndsEarly(t *testing.T) {
	var h heard
	r, err := openRemote(t.Context(), startChild(t), opening{profile: profileOf(t, "stall=1h"), factor: 1, fronts: []proxies.Front{{Name: "n1"}}}, h.note)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Serve(map[string][]proxies.Backend{"n1": {{Name: "n1", Addr: echo(t)}}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Strike(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if len(h.kind(proxies.KindResume)) != 1 {
		t.Error("the stall did not end")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestABalancerElsewhereThatDiesIsMissed(t *testing.T) {
	program := startChild(t)
	r, err := openRemote(t.Context(), program, opening{profile: profileOf(t, "stall=1h"), factor: 1, fronts: []proxies.Front{{Name: "n1"}}}, func(proxies.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Serve(map[string][]proxies.Backend{"n1": {{Name: "n1", Addr: echo(t)}}}); err != nil {
		t.Fatal(err)
	}
	struck := make(chan error, 1)
	go func() { struck <- r.Strike(context.Background()) }()
	if err := program.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-struck; err == nil {
		t.Error("striking: no error, and the balancer is gone")
	}
	if err := r.Close(); err == nil {
		t.Error("closing: no error, and the balancer is gone")
	}
}

func TestAProfileSurvivesTheWire(t *testing.T) {
	p := profileOf(t, "idle-timeout=20s", "idle-expiry=rst-on-next", "frontends=shared", "outage=12s", "balance=source-hash")
	got, err := wired(p, 4).profile()
	if err != nil {
		t.Fatal(err)
	}
	if want := p.Scaled(4); !reflect.DeepEqual(got.Behaviours, want.Behaviours) || got.Name != p.Name || got.Seed != p.Seed {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWhoeverGivesWrongOrdersIsTold(t *testing.T) {
	for _, c := range []struct{ orders, want string }{
		{`{"ID":1,"Do":"serve"}`, `{"ID":1,"Error":"the first order is listen with a profile, not \"serve\""}`},
		{`{"ID":1,"Do":"listen"}`, `{"ID":1,"Error":"the first order is listen with a profile, not \"listen\""}`},
		{`{"ID":1,"Do":"listen","Profile":{"Settings":[{"Setting":"stall","Value":"soon"}]}}`, "soon"},
		{`{"ID":1,"Do":"listen","Profile":{"Factor":1}}{"ID":2,"Do":"sing"}`, `{"ID":2,"Error":"nothing is known of an order \"sing\""}`},
	} {
		var out strings.Builder
		if err := obey(strings.NewReader(c.orders), &out); err != nil {
			t.Errorf("%s: %v", c.orders, err)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: got %swant %s", c.orders, out.String(), c.want)
		}
	}
	if err := obey(strings.NewReader("{"), io.Discard); err == nil {
		t.Error("half an order draws no error")
	}
}
