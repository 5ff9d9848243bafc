package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// childrenOf lists a process's children.
func childrenOf(t *testing.T, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil && runtime.GOOS != "linux" {
		t.Skipf("children are listed by Linux alone: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(string(text))
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks { // a child belongs to the thread that started it
		if task.Name() == fmt.Sprint(pid) {
			continue
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

// mortals opens a balancer elsewhere whose frontends n1 and n2 lead to one that repeats what it hears.
func mortals(t *testing.T, h *heard, settings ...string) (*remote, *child) {
	t.Helper()
	program := startChild(t)
	r, err := openRemote(t.Context(), program, opening{profile: profileOf(t, settings...), factor: 1, fronts: []proxies.Front{{Name: "n1"}, {Name: "n2"}}}, h.note)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Serve(map[string][]proxies.Backend{"n1": {{Name: "b1", Addr: echo(t)}}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Serve(map[string][]proxies.Backend{"n2": {{Name: "b2", Addr: echo(t)}, {Name: "b3", Addr: echo(t)}}}); err != nil {
		t.Fatal(err)
	}
	return r, program
}

// await gives the events of a kind once there are that many: they come a moment after what they tell of.
func (h *heard) await(t *testing.T, kind string, n int) (found []proxies.Event) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(found) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, want %d of %s", found, n, kind)
		}
		found = h.kind(kind)
	}
	return found
}

func dialled(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := echoed(c, "hello"); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACrashElsewhereKillsTheProcessThatHasTheSockets(t *testing.T) {
	var h heard
	r, program := mortals(t, &h, "restart=crash")
	before := childrenOf(t, program.cmd.Process.Pid)
	if len(before) != 1 {
		t.Fatalf("got processes %v, want one of the balancer's", before)
	}
	if err := r.Remove("b2"); err != nil {
		t.Fatal(err)
	}
	c := dialled(t, r.Addr("n1"))
	if err := r.Strike(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d bytes and %v, want the end of the stream", n, err)
	}
	c = dialled(t, r.Addr("n1"))
	if begin := h.await(t, proxies.KindBegin, 2); len(begin) != 2 || begin[0].Conn != "n1#1" || begin[1].Conn != "n1#1/2" || begin[1].FrontAddr != begin[0].FrontAddr {
		t.Errorf("got connections %+v, want two of different names", begin)
	}
	for range 3 { // b2 is still out
		dialled(t, r.Addr("n2"))
	}
	for _, e := range h.await(t, proxies.KindBegin, 5) {
		if e.Backend == "b2" {
			t.Errorf("a connection went to a backend that is out: %+v", e)
		}
	}
	if err := r.Strike(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading from a connection of the second process: got %v", err)
	}
	c = dialled(t, r.Addr("n1"))
	if r.Cut("n1#1") || r.Cut("n1#1/2") || !r.Cut("n1#1/3") {
		t.Error("cut a connection of a dead process, or not the one that lives")
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading from a connection that was cut: got %v", err)
	}
	after := childrenOf(t, program.cmd.Process.Pid)
	if len(after) != 1 || slices.Equal(after, before) {
		t.Errorf("got processes %v after %v, want another one", after, before)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	left := living(append(before, after...))
	for late := time.Now().Add(10 * time.Second); len(left) > 0 && time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		left = living(left)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if removed := h.kind(proxies.KindRemoved); len(removed) != 1 {
		t.Errorf("got %+v, want one removal", removed)
	}
}

// living are the processes that there are.
func living(pids []string) []string {
	return slices.DeleteFunc(slices.Clone(pids), func(pid string) bool {
		_, err := os.Stat("/proc/" + pid)
		return err != nil
	})
}

func TestWhatACrashElsewhereEndsIsTold(t *testing.T) {
	var h heard
	r, program := mortals(t, &h, "restart=crash")
	childrenOf(t, program.cmd.Process.Pid)
	c := dialled(t, r.Addr("n1"))
	// Bytes are counted a moment after they have arrived: those of the first words have been once others have come after them.
	if err := echoed(c, "!"); err != nil {
		t.Fatal(err)
	}
	if err := r.Strike(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d bytes and %v, want the end of the stream", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	var story []string
	for _, e := range h.events {
		story = append(story, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Conn, " ", e.How, " ", e.Why)))
		if e.Kind == proxies.KindEnd && (e.Up < 5 || e.Up > 6 || e.Down < 5 || e.Down > 6) {
			t.Errorf("got %d bytes up and %d down, want 5 or 6 each", e.Up, e.Down)
		}
		if (e.Kind == proxies.KindCrash || e.Kind == proxies.KindRestarted) && !strings.Contains(e.What, "process") {
			t.Errorf("%s does not say that it was a process: %q", e.Kind, e.What)
		}
	}
	if want := []string{"begin n1#1", "crash", "end n1#1 fin restart", "restarted"}; !slices.Equal(story, want) {
		t.Errorf("got %q, want %q", story, want)
	}
}

func TestABalancersProcessThatDiesByItselfTakesItsParentAlong(t *testing.T) {
	var h heard
	r, program := mortals(t, &h, "restart=crash")
	for _, pid := range childrenOf(t, program.cmd.Process.Pid) {
		var n int
		fmt.Sscan(pid, &n)
		p, err := os.FindProcess(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-r.done:
	case <-time.After(10 * time.Second):
		t.Error("10s later there is still a balancer")
	}
	if err := r.Strike(t.Context()); err == nil {
		t.Error("striking: no error, and the balancer is gone")
	}
	if err := r.Close(); err == nil {
		t.Error("closing: no error, and the balancer is gone")
	}
}

func TestAnEventOfAMortalBalancerEndsEarly(t *testing.T) {
	var h heard
	r, program := mortals(t, &h, "restart=crash", "outage=1h")
	childrenOf(t, program.cmd.Process.Pid)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	called := make(chan error, 1)
	go func() { called <- r.Strike(ctx) }()
	h.await(t, proxies.KindOutage, 1)
	cancel()
	if err := <-called; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(h.kind(proxies.KindRestored)) != 1 || len(h.kind(proxies.KindCrash)) != 0 {
		t.Errorf("got %+v, want the end of the outage and no crash", h.events)
	}
	struck := make(chan error, 1)
	go func() { struck <- r.Strike(context.Background()) }()
	h.await(t, proxies.KindOutage, 2)
	if err := r.Close(); err != nil { // ends an event under way
		t.Error(err)
	}
	if err := <-struck; err == nil {
		t.Error("an event that the end has cut short is no error")
	}
}

func TestWhoseProcessACrashKills(t *testing.T) {
	for set, want := range map[string]bool{
		"":                               false,
		"outage=5s":                      false,
		"restart=reload":                 false,
		"restart=crash":                  true,
		"restart=crash idle-timeout=20s": true,
		"restart=crash engine=kernel":    false, // rules, no sockets
		"restart=crash source-ports=50":  true,  // the kernel's
		"restart=crash source-ports=50 port-reuse-delay=120s": false, // the process's own
		"restart=crash port-exhaustion=swallow":               false,
	} {
		if got := dies(profileOf(t, strings.Fields(set)...)); got != want {
			t.Errorf("%q: got %v, want %v", set, got, want)
		}
	}
}
