package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/lbtest/lbtest/proxies"
)

func TestABalancerRefusesWhatCannotWorkBeforeItStarts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	events := filepath.Join(dir, "events.jsonl")
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("settings:\n  idle-timout: 60s\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const open, to = "--listen 127.0.0.1:0 ", "--to 127.0.0.1:9 "
	for _, c := range []struct {
		args string
		want []string
	}{
		{"", []string{"--listen is missing"}},
		{open, []string{"--to is missing"}},
		{"--to 127.0.0.1:9", []string{"--listen is missing"}},
		{open + "--to=", []string{"--to", "empty", "host:port"}},
		{open + "--to 127.0.0.1:9,", []string{"--to", "empty"}},
		{open + "--to 127.0.0.1", []string{"127.0.0.1", "missing port"}},
		{open + "--to 127.0.0.1:0", []string{`port "0"`, "1 to 65535"}},
		{open + "--to 127.0.0.1:70000", []string{`port "70000"`, "1 to 65535"}},
		{open + "--to :4222", []string{"which host"}},
		{open + "--to nats://n1:4222", []string{"is a URL", "n1:4222 without nats://"}},
		{open + "--to 127.0.0.1:9,127.0.0.1:9", []string{"127.0.0.1:9 is given twice"}},
		{open + to + to, []string{"--to", "twice"}},
		{open + to + "--profile aws-nlb-tcp --profile haproxy-tcp", []string{"--profile is given twice (aws-nlb-tcp, haproxy-tcp)"}},
		{open + to + "--set on-down=reset", []string{"on-down=reset has no effect without a health check"}},
		{"--listen 127.0.0.1:65536 " + to, []string{`port "65536"`, "0 to 65535"}},
		{"--listen 127.0.0.1:http " + to, []string{`port "http"`}},
		{"--listen 127.0.0.1 " + to, []string{"missing port"}},
		{"--listen =127.0.0.1:0 " + to, []string{`"" is no name`}},
		{open + open + to, []string{"twice", "--listen a=:4222"}},
		{"--listen a=127.0.0.1:0 --listen a=127.0.0.1:0 --to a=127.0.0.1:9", []string{`"a" is given twice`}},
		{"--listen a=127.0.0.1:0 --to b=127.0.0.1:9", []string{`unknown --listen "b"`, "(a)"}},
		{"--listen a=127.0.0.1:0 --listen b=127.0.0.1:0 --to b=127.0.0.1:9", []string{"--listen a has no --to"}},
		{"--listen a=127.0.0.1:0 --to 127.0.0.1:9", []string{"for which --listen"}},
		{"--listen " + taken.Addr().String() + " " + to, []string{taken.Addr().String(), "address already in use"}},
		{"--listen 192.0.2.1:4222 " + to, []string{"192.0.2.1:4222", "cannot assign"}},
		{open + to + "--set idle-timout=60s", []string{`unknown setting "idle-timout"`, "did you mean idle-timeout"}},
		{open + to + "--set idle-timeout=60", []string{"idle-timeout=60", "60s?"}},
		{open + to + "--set stall", []string{`"stall"`, "SETTING=VALUE"}},
		{open + to + "--set stall=1s --set stall=2s", []string{"stall is given twice (1s and 2s)"}},
		{open + to + "--set idle-expiry=rst", []string{"idle-expiry=rst", "add one"}},
		{open + to + "--set frontends=shared", []string{"frontends=shared", "not for a balancer on its own", "--listen"}},
		{open + to + "--set engine=kernel", []string{"engine=kernel", "not for a balancer on its own"}},
		{open + to + "--set node-fault=kill", []string{"node-fault=kill", "not for a balancer on its own"}},
		{open + to + "--set drain=5s", []string{"drain=5s", "not for a balancer on its own", "on-down"}},
		{open + to + "--set bypass=open", []string{"bypass=open", "not for a balancer on its own"}},
		{open + to + "--set health-check=http", []string{"health-check=http", "--monitor"}},
		{open + to + "--monitor 127.0.0.1:8222,127.0.0.1:8223", []string{"2 addresses", "--to 1"}},
		{open + to + "--profile aws-nlb-tpc", []string{`"aws-nlb-tpc"`, "did you mean aws-nlb-tcp"}},
		{open + to + "--profile " + bad, []string{"bad.yaml:2", "idle-timout", "did you mean idle-timeout"}},
		{open + to + "--profile " + filepath.Join(dir, "none.yaml"), []string{"none.yaml", "no such file"}},
		{open + to + "--events " + events, []string{"jsonl=PATH"}},
		{open + to + "--events jsonl=" + dir, []string{dir, "directory"}},
		{open + to + "--tcp-keepalive 15", []string{`--tcp-keepalive "15"`, "15s, or off"}},
		{open + to + "--toxiproxy-api " + taken.Addr().String(), []string{"--toxiproxy-api", taken.Addr().String(), "in use"}},
		{open + to + "--toxiproxy-api 8474", []string{"--toxiproxy-api", "missing port"}},
		{open + to + "--tls-authority " + filepath.Join(dir, "ca.pem"), []string{"--tls-authority", "ends no TLS", "tls=terminate"}},
		{open + to + "--seed x", []string{`--seed "x"`, "whole number"}},
		{open + to + "--topology routes-behind-lb", []string{`unknown flag "--topology"`}},
		{open + to + "x", []string{`"x" was given`}},
	} {
		t.Run(c.args, func(t *testing.T) {
			var l lab
			if got := l.run(append([]string{"balancer"}, strings.Fields(c.args)...)...); got != exitUsage {
				t.Errorf("exit %d, want %d", got, exitUsage)
			}
			for _, want := range c.want {
				if !strings.Contains(l.log.String(), want) {
					t.Errorf("stderr is %q, want something with %q", l.log.String(), want)
				}
			}
			if strings.Contains(l.log.String(), "balancing") || l.out.Len() > 0 {
				t.Errorf("something began: %q, %q", l.log.String(), l.out.String())
			}
		})
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("bad usage left %v", left)
	}
}

// alone are the tests of a balancer on its own, with the program itself.
var alone = map[string]func(*testing.T, user){
	"forwards a NATS client and tells of it":      aloneForwards,
	"keeps connections over a reload":             aloneReloads,
	"performs its events when asked":              aloneStrikes,
	"has several frontends":                       aloneFronts,
	"shares an address with others":               aloneShares,
	"outlives those who read its events":          aloneUnread,
	"ends though nobody reads its events":         aloneStuck,
	"leaves nothing when it is killed":            aloneKilled,
	"ends at once by a second signal":             aloneTwice,
	"tells of a backend that does not answer":     aloneUnanswered,
	"ends TLS with certificates to be trusted":    aloneTLS,
	"lets toxiproxy's client add a toxic":         aloneToxic,
	"says what a profile of the catalogue leaves": aloneProfiled,
}

// balancing is a balancer on its own that runs.
type balancing struct {
	t      *testing.T
	cmd    *exec.Cmd
	addrs  map[string]string // by frontend
	stdout *bufio.Reader
	log    heardLines
}

// heardLines are what was said on stderr so far.
type heardLines struct {
	mu    sync.Mutex
	lines []string
}

func (h *heardLines) add(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

func (h *heardLines) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

// balancer starts one and waits until all of its frontends forward.
func (u user) balancer(t *testing.T, args ...string) *balancing {
	t.Helper()
	b := &balancing{t: t, addrs: map[string]string{}}
	b.cmd = u.command(t.Context(), append([]string{"balancer"}, args...)...)
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := b.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.stdout = bufio.NewReader(out)
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fronts := 0
	for _, a := range args {
		if a == "--listen" {
			fronts++
		}
	}
	ready := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			b.log.add(lines.Text())
			if rest, ok := strings.CutPrefix(lines.Text(), "lbtest: balancing "); ok {
				addr := strings.Fields(rest)[0]
				name, after, named := strings.Cut(addr, "=")
				if !named {
					name, after = onlyFront, addr
				}
				b.addrs[name] = after
				if len(b.addrs) == fronts {
					close(ready)
				}
			}
		}
	})
	t.Cleanup(func() {
		b.cmd.Process.Kill()
		b.cmd.Wait()
		reading.Wait()
	})
	select {
	case <-ready:
	case <-time.After(10 * time.Second):
		t.Fatalf("it was not ready after 10 s: %s", b.log.String())
	}
	return b
}

// says waits for a line on stderr.
func (b *balancing) says(what string) {
	b.t.Helper()
	b.until(fmt.Sprintf("it to say %q", what), func() bool { return strings.Contains(b.log.String(), what) })
}

func (b *balancing) until(what string, ask func() bool) {
	b.t.Helper()
	for late := time.Now().Add(10 * time.Second); !ask(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			b.t.Fatalf("waited 10 s for %s; stderr:\n%s", what, b.log.String())
		}
	}
}

func (b *balancing) signal(s syscall.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}

// ended waits for its end and gives the exit code and what was on stdout.
func (b *balancing) ended() (code int, stdout string) {
	b.t.Helper()
	late := time.AfterFunc(promised, func() { b.cmd.Process.Kill() })
	text, err := io.ReadAll(b.stdout)
	if err != nil {
		b.t.Error(err)
	}
	b.cmd.Wait()
	if !late.Stop() {
		b.t.Errorf("%v later it still ran", promised)
	}
	return b.cmd.ProcessState.ExitCode(), string(text)
}

// echoing is a backend that gives back what it gets.
func echoing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// dialled is a connection through a balancer.
func dialled(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// echoes sends a text and wants it back.
func echoes(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("got %q and %v, want %q", got, err, text)
	}
}

// natsServer is a real one.
func natsServer(t *testing.T) string {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the nats-server is not ready")
	}
	return s.Addr().String()
}

func aloneForwards(t *testing.T, u user) {
	backend := natsServer(t)
	b := u.balancer(t, "--listen", "127.0.0.1:0", "--to", backend, "--set", "idle-timeout=350s", "--events", "jsonl=-", "--verbose")
	nc, err := nats.Connect("nats://" + b.addrs[onlyFront])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("a", []byte("through")); err != nil {
		t.Fatal(err)
	}
	if m, err := sub.NextMsg(5 * time.Second); err != nil || string(m.Data) != "through" {
		t.Fatalf("got %v, %v", m, err)
	}
	closed := make(chan struct{})
	nc.SetDisconnectErrHandler(func(*nats.Conn, error) { close(closed) })
	line, err := b.stdout.ReadBytes('\n') // flushed at once: the connection still lives
	if err != nil {
		t.Fatal(err)
	}
	var began eventLine
	if err := json.Unmarshal(line, &began); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	if began.Kind != "begin" || began.Conn != "lb#1" || began.Backend != backend || began.FrontAddr != b.addrs[onlyFront] || began.LocalAddr == "" || time.Since(began.At) > time.Minute {
		t.Errorf("the first event is %s", line)
	}
	b.says("lb#1 begin")
	b.signal(syscall.SIGTERM)
	code, rest := b.ended()
	<-closed
	if code != 0 {
		t.Errorf("exit %d, want 0\n%s", code, b.log.String())
	}
	lines := strings.Split(strings.TrimSpace(rest), "\n")
	var end eventLine
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil {
		t.Fatal(err)
	}
	if end.Kind != "end" || end.How != "fin" || end.Why != "close" || end.Up == 0 || end.Down == 0 || end.Age <= 0 {
		t.Errorf("the last event is %s", lines[len(lines)-1])
	}
	want := fmt.Sprintf("lbtest: balancing %s over 1 backend (idle-timeout=350s)", b.addrs[onlyFront])
	if first, _, _ := strings.Cut(b.log.String(), "\n"); first != want {
		t.Errorf("the ready line is %q, want %q", first, want)
	}
}

func aloneReloads(t *testing.T, u user) {
	profile := filepath.Join(t.TempDir(), "mine.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(profile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("name: mine\nabout: a balancer of a test\nsettings:\n  max-lifetime: 1h\n")
	b := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t), "--profile", profile, "--events", "jsonl=-")
	old := dialled(t, b.addrs[onlyFront])
	echoes(t, old, "before")

	write("name: mine\nabout: a balancer of a test\nsettings:\n  idle-timout: 300ms\n")
	b.signal(syscall.SIGHUP)
	b.says(`unknown setting "idle-timout"`)
	b.says("the balancer stays as it was (profile mine, max-lifetime=1h)")

	write("name: mine\nabout: a balancer of a test\nsettings:\n  idle-timeout: 300ms\n")
	b.signal(syscall.SIGHUP)
	b.says("reloaded: new connections meet (profile mine, idle-timeout=300ms)")
	fresh := dialled(t, b.addrs[onlyFront])
	echoes(t, fresh, "after")
	if _, err := fresh.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the new connection ends by %v, want the end of the stream", err)
	}
	echoes(t, old, "still there")
	b.signal(syscall.SIGINT)
	code, events := b.ended()
	if _, err := old.Read(make([]byte, 1)); code != 0 || err != io.EOF {
		t.Errorf("exit %d, the old connection ends by %v; want 0 and the end of the stream", code, err)
	}
	for _, want := range []string{`"kind":"reload"`, `"kind":"expired"`, `"why":"idle-timeout"`} {
		if !strings.Contains(events, want) {
			t.Errorf("no event has %s:\n%s", want, events)
		}
	}
}

func aloneStrikes(t *testing.T, u user) {
	b := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t), "--set", "stall=700ms", "--events", "jsonl=-")
	c := dialled(t, b.addrs[onlyFront])
	echoes(t, c, "before")
	b.signal(syscall.SIGUSR1)
	b.says("SIGUSR1: the event begins (stall=700ms)")
	kinds := func(until string) (seen []string) {
		for len(seen) == 0 || seen[len(seen)-1] != until {
			line, err := b.stdout.ReadBytes('\n')
			var e eventLine
			if err := errors.Join(err, json.Unmarshal(line, &e)); err != nil {
				t.Fatalf("%v after %v", err, seen)
			}
			if e.Conn == "" {
				seen = append(seen, e.Kind)
			}
		}
		return seen
	}
	kinds("stall")
	held := time.Now()
	echoes(t, c, "held")
	if took := time.Since(held); took < 300*time.Millisecond { // the event was read some time after it was noted
		t.Errorf("an echo took %v in a stall of 700 ms", took)
	}
	if got := kinds("resume"); !slices.Equal(got, []string{"resume"}) {
		t.Errorf("after the stall came %v", got)
	}
	b.says("the event is over")
	echoes(t, c, "the same connection")

	short := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t), "--set", "outage=50ms")
	gone := dialled(t, short.addrs[onlyFront])
	echoes(t, gone, "before")
	short.signal(syscall.SIGUSR1)
	short.says("the event is over")
	if _, err := gone.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after an outage a connection finds %v, want the end of the stream", err)
	}
	echoes(t, dialled(t, short.addrs[onlyFront]), "after")

	// Of an event that would go on for long, an end is the end.
	long := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t), "--set", "outage=1h")
	long.signal(syscall.SIGUSR1)
	long.says("the event begins")
	long.signal(syscall.SIGTERM)
	if code, _ := long.ended(); code != 0 {
		t.Errorf("exit %d in the middle of an event, want 0\n%s", code, long.log.String())
	}
	none := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t))
	none.signal(syscall.SIGUSR1)
	none.says("there is no event to perform")
	echoes(t, dialled(t, none.addrs[onlyFront]), "as before")
}

func aloneFronts(t *testing.T, u user) {
	b := u.balancer(t, "--listen", "a=127.0.0.1:0", "--listen", "b=127.0.0.1:0", "--to", "a="+echoing(t), "--to", "b="+natsServer(t))
	echoes(t, dialled(t, b.addrs["a"]), "to a")
	nc, err := nats.Connect("nats://" + b.addrs["b"])
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func aloneShares(t *testing.T, u user) {
	backend := echoing(t)
	one := u.balancer(t, "--listen", "127.0.0.1:0", "--to", backend, "--share-port", "--verbose")
	addr := one.addrs[onlyFront]
	two := u.balancer(t, "--listen", addr, "--to", backend, "--share-port", "--verbose")
	const connections = 40 // that all go to one of two is one chance in 2^39
	for range connections {
		echoes(t, dialled(t, addr), "shared")
	}
	begun := func(b *balancing) int { return strings.Count(b.log.String(), " begin ") }
	one.until("all to be told of", func() bool { return begun(one)+begun(two) == connections })
	if begun(one) == 0 || begun(two) == 0 {
		t.Errorf("one has %d, the other %d of %d connections", begun(one), begun(two), connections)
	}
	got := u.run(t, time.Minute, "balancer", "--listen", addr, "--to", backend)
	if got.code != 2 || !strings.Contains(got.stderr, addr) || !strings.Contains(got.stderr, "in use") {
		t.Errorf("one that does not share: exit %d, %q", got.code, got.stderr)
	}
}

func aloneStuck(t *testing.T, u user) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	full := make([]byte, 1<<20) // more than any pipe takes
	w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	w.Write(full)
	cmd := u.command(t.Context(), "balancer", "--listen", "127.0.0.1:0", "--to", echoing(t), "--events", "jsonl=-")
	cmd.Stdout = w
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	w.Close()
	lines := bufio.NewScanner(said)
	lines.Scan()
	addr := strings.Fields(strings.TrimPrefix(lines.Text(), "lbtest: balancing "))[0]
	echoes(t, dialled(t, addr), "nobody reads")
	cmd.Process.Signal(syscall.SIGTERM)
	var last string
	for lines.Scan() {
		last = lines.Text()
	}
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != exitOurs || !strings.Contains(last, "nobody reads them") {
		t.Errorf("exit %d, %q; want %d, and why", got, last, exitOurs)
	}
}

func aloneUnread(t *testing.T, u user) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := u.command(t.Context(), "balancer", "--listen", "127.0.0.1:0", "--to", echoing(t), "--events", "jsonl=-")
	cmd.Stdout = w
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	w.Close()
	r.Close()
	lines := bufio.NewScanner(said)
	lines.Scan()
	addr := strings.Fields(strings.TrimPrefix(lines.Text(), "lbtest: balancing "))[0]
	echoes(t, dialled(t, addr), "nobody reads")
	lines.Scan()
	if !strings.Contains(lines.Text(), "no more events are written") {
		t.Errorf("it says %q", lines.Text())
	}
	echoes(t, dialled(t, addr), "it goes on")
	cmd.Process.Signal(syscall.SIGTERM)
	for lines.Scan() {
	}
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != exitOurs {
		t.Errorf("exit %d, want %d: what was asked for was not given", got, exitOurs)
	}
}

func aloneKilled(t *testing.T, u user) {
	b := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t))
	c := dialled(t, b.addrs[onlyFront])
	echoes(t, c, "before")
	ports := u.sockets(t)
	b.signal(syscall.SIGKILL)
	b.cmd.Wait()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection lives on")
	}
	u.nothingLeft(t, time.Now(), ports)
}

// aloneTwice has a reader who does not read, so that the clean end has to wait for him.
func aloneTwice(t *testing.T, u user) {
	b := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t), "--events", "jsonl=-")
	// A pipe holds 64 KB: some 200 lines.
	for range 400 {
		c := dialled(t, b.addrs[onlyFront])
		echoes(t, c, "x")
		c.Close()
	}
	b.signal(syscall.SIGTERM)
	b.says("SIGTERM: ending all connections")
	b.signal(syscall.SIGTERM)
	late := time.AfterFunc(promised, func() { b.cmd.Process.Kill() })
	b.cmd.Wait()
	if got := b.cmd.ProcessState.ExitCode(); got != exitInterrupted || !late.Stop() {
		t.Errorf("exit %d, want %d", got, exitInterrupted)
	}
}

func aloneUnanswered(t *testing.T, u user) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody listens there now
	file := filepath.Join(t.TempDir(), "events.jsonl")
	b := u.balancer(t, "--listen", "127.0.0.1:0", "--to", l.Addr().String(), "--events", "jsonl="+file)
	for range 2 {
		if _, err := dialled(t, b.addrs[onlyFront]).Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a client finds %v, want the end of the stream", err)
		}
	}
	read := func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	b.until("two refusals", func() bool { return strings.Count(read(), "\n") == 2 })
	if got := read(); strings.Count(got, `"kind":"refused"`) != 2 || !strings.Contains(got, `"why":"connection refused"`) || !strings.Contains(got, l.Addr().String()) {
		t.Errorf("the events are\n%s", got)
	}
	b.signal(syscall.SIGTERM)
	if code, stdout := b.ended(); code != 0 || stdout != "" {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
}

func aloneTLS(t *testing.T, u user) {
	authority := filepath.Join(t.TempDir(), "ca.pem")
	b := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t), "--set", "tls=terminate", "--tls-authority", authority)
	pem, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %s", pem)
	}
	c, err := tls.Dial("tcp", b.addrs[onlyFront], &tls.Config{RootCAs: trusted})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echoes(t, c, "in secret, half of the way")
}

func aloneToxic(t *testing.T, u user) {
	b := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t), "--set", "idle-timeout=350s", "--toxiproxy-api", "127.0.0.1:0")
	const at = "lbtest: toxiproxy's API at "
	b.says(at)
	_, url, _ := strings.Cut(b.log.String(), at)
	api := toxiproxy.NewClient(strings.Fields(url)[0])
	c := dialled(t, b.addrs[onlyFront])
	echoes(t, c, "before")
	proxy, err := api.Proxy(onlyFront)
	if err != nil {
		t.Fatal(err)
	}
	if proxy.Listen != b.addrs[onlyFront] {
		t.Errorf("it lists %+v, want what listens at %s", proxy, b.addrs[onlyFront])
	}
	const slow = 300 * time.Millisecond
	if _, err := proxy.AddToxic("slow", "latency", "downstream", 1, toxiproxy.Attributes{"latency": slow.Milliseconds()}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	echoes(t, c, "on the live connection")
	if took := time.Since(began); took < slow {
		t.Errorf("an echo took %v under a latency of %v", took, slow)
	}
	if err := proxy.RemoveToxic("slow"); err != nil {
		t.Fatal(err)
	}
	// Quick again, at least once: the machine may be busy.
	quick := time.Hour
	for range 20 {
		began = time.Now()
		echoes(t, c, "after")
		quick = min(quick, time.Since(began))
	}
	if quick >= slow {
		t.Errorf("with the toxic gone an echo still takes %v", quick)
	}
	b.signal(syscall.SIGTERM)
	if code, _ := b.ended(); code != 0 {
		t.Errorf("exit %d\n%s", code, b.log.String())
	}
}

func aloneProfiled(t *testing.T, u user) {
	b := u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t)+","+echoing(t), "--profile", "aws-nlb-tls", "--set", "idle-timeout=60s", "--set", "tls=passthrough")
	b.says("over 2 backends (profile aws-nlb-tls, ")
	b.says("idle-timeout=60s cannot be set on aws-nlb-tls")
	echoes(t, dialled(t, b.addrs[onlyFront]), "through")

	drains := filepath.Join(t.TempDir(), "drains.yaml")
	if err := os.WriteFile(drains, []byte("name: drains\nabout: a balancer of a test\nsettings:\n  drain: 5s\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	u.balancer(t, "--listen", "127.0.0.1:0", "--to", echoing(t), "--profile", drains).says("drain=5s has no effect here")
}

// What is promised to slow readers: they lose events and are told, and nobody waits for them.
func TestEventsWaitForASlowReaderUpToABound(t *testing.T) {
	reading, written := make(chan struct{}), atomic.Int64{}
	var newest atomic.Value
	p := &program{out: writer(func(b []byte) (int, error) {
		<-reading
		for line := range strings.Lines(string(b)) {
			written.Add(1)
			newest.Store(line)
		}
		return len(b), nil
	})}
	told, err := p.tellings(&balancerFlags{events: "jsonl=-"}, &lines{out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	const beyond = 10
	told.note(proxies.Event{Kind: "first"}) // the writer takes it, and waits for its reader
	taken := func() bool { told.mu.Lock(); defer told.mu.Unlock(); return len(told.queue) == 0 }
	for !taken() {
		time.Sleep(time.Millisecond)
	}
	for range waiting + beyond {
		told.note(proxies.Event{Kind: "more"})
	}
	close(reading)
	if err := told.close(); err != nil {
		t.Fatal(err)
	}
	if got := written.Load(); got != 1+waiting+1 {
		t.Errorf("%d lines were written, want %d", got, 1+waiting+1)
	}
	var last eventLine
	if err := json.Unmarshal([]byte(newest.Load().(string)), &last); err != nil {
		t.Error(err)
	}
	if last.Kind != "lost" || !strings.Contains(last.What, fmt.Sprint(beyond)) {
		t.Errorf("the last line is %+v", last)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
