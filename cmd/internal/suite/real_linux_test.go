package suite

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// real is a real balancer in its own words: what its frontends, its backends and each of its servers are told.
// {idle} is the lab's idle timeout, which may be scaled, {monitor} the port of a server's monitoring.
type real struct {
	program             string // haproxy or nginx
	mode                string // HAProxy's
	front, back, server string
	bind                string // beside the address of HAProxy's frontend
}

// realRow is a simulated setting and the real balancer that it stands for.
type realRow struct {
	name     string
	topology string // "": clients-behind-lb
	real     real
	set      string
	nats     string
	client   string
	assert   []string
	long     bool // in make integration; make fidelity and make nightly have all
}

// arriving are the promises about what arrives.
var arriving = []string{"client/connects", "inspection/first-bytes-pass", "proxy/address-arrives", "proxy/header-understood"}

func realRows() []realRow {
	haproxy := func(front, back, server string) real {
		return real{program: "haproxy", mode: "tcp", front: front, back: back, server: server}
	}
	waits := "tcp-request inspect-delay 1s\ntcp-request content accept if { req.len gt 0 }"
	rows := []realRow{
		{name: "nothing", real: haproxy("", "", ""), set: "frontends=shared", assert: arriving},
		{name: "inspect-delay 5s", real: haproxy(strings.Replace(waits, "1s", "5s", 1), "", ""), set: "inspection=client-first", assert: arriving},
		{name: "inspect-delay 5s, a patient client", real: haproxy(strings.Replace(waits, "1s", "5s", 1), "", ""), set: "inspection=client-first", client: "timeout=10s", assert: arriving},
		{long: true, name: "inspect-delay 1s", real: haproxy(waits, "", ""), set: "inspection=client-first inspection-delay=1s", assert: arriving},
		{long: true, name: "ssl_preread on", real: real{program: "nginx", front: "ssl_preread on;\npreread_timeout 1s;"}, set: "inspection=tls-hello inspection-delay=1s inspection-verdict=close", assert: arriving},
		{name: "mode http", real: real{program: "haproxy", mode: "http"}, set: "inspection=http inspection-verdict=close inspection-delay=1h", assert: arriving},
		{long: true, name: "check", real: haproxy("", "", "check inter 1s"), set: "health-check=tcp health-interval=1s node-fault=none", assert: []string{"health/server-log-quiet"}},
		// Without a word to wait for, HAProxy resets before the server accepts, as its plain check does.
		{name: "tcp-check expect", real: haproxy("", "option tcp-check\ntcp-check connect\ntcp-check expect string INFO", "check inter 1s"), set: "health-check=connect health-interval=1s node-fault=none", assert: []string{"health/server-log-quiet"}},
		{name: "httpchk", real: haproxy("", "option httpchk GET /healthz", "check inter 1s port {monitor}"), set: "health-check=http health-interval=1s node-fault=none", assert: []string{"health/server-log-quiet"}},
		{long: true, name: "timeout client and server", real: haproxy("timeout client {idle}", "timeout server {idle}", ""), set: "idle-timeout=50s", assert: []string{"client/stays-connected-when-quiet"}},
		{name: "timeout tunnel", real: haproxy("", "timeout tunnel {idle}", ""), set: "idle-timeout=350s", assert: []string{"client/stays-connected-when-quiet"}},
		{long: true, name: "proxy_timeout", real: real{program: "nginx", front: "proxy_timeout {idle};"}, set: "idle-timeout=50s", assert: []string{"client/stays-connected-when-quiet"}},
		{long: true, name: "maxconn 80", real: haproxy("maxconn 80", "", ""), set: "max-connections=80", assert: []string{"ports/all-connect"}},
		{name: "reload", real: haproxy("", "", ""), set: "restart=reload", assert: []string{"client/reconnects"}},
		{long: true, name: "killed and back", real: haproxy("", "", ""), set: "restart=crash", assert: []string{"client/reconnects"}},
	}
	for version, word := range map[string]string{"v1": "send-proxy", "v2": "send-proxy-v2"} {
		rows = append(rows,
			realRow{name: word, real: haproxy("", "", word), set: "proxy-protocol=" + version, assert: arriving},
			realRow{long: version == "v2", name: word + ", looked for", real: haproxy("", "", word), set: "proxy-protocol=" + version, nats: "proxy_protocol=true", assert: arriving})
	}
	rows = append(rows,
		realRow{name: "proxy_protocol on, looked for", real: real{program: "nginx", front: "proxy_protocol on;"}, set: "proxy-protocol=v1", nats: "proxy_protocol=true", assert: arriving},
		realRow{name: "no header, looked for", real: haproxy("", "", ""), set: "proxy-protocol=off", nats: "proxy_protocol=true", assert: arriving})

	// What joins servers pings more rarely than it is cut, or more often; waits for INFO; and is made again after an event. Of
	// each topology the long row is the one where NATS breaks.
	both := haproxy("timeout client {idle}", "timeout server {idle}", "")
	joining := func(topology, short, long string, quiet, struck []string) {
		row := func(name string, r real, set string, assert ...string) realRow {
			return realRow{topology: topology, name: topology + ", " + name, real: r, set: set, assert: assert}
		}
		cut := row("timeout client and server", both, "idle-timeout="+short, quiet...)
		cut.long = true
		rows = append(rows, cut,
			row("timeout tunnel", haproxy("", "timeout tunnel {idle}", ""), "idle-timeout="+long, quiet...),
			row("proxy_timeout", real{program: "nginx", front: "proxy_timeout {idle};"}, "idle-timeout="+long, "core/no-loss-when-quiet-then-busy"), // nginx says not why a connection ended
			row("reload", haproxy("", "", ""), "restart=reload", struck...),
			row("killed and back", haproxy("", "", ""), "restart=crash", struck...))
	}
	// That links form is not asked where a program is started only when nodes dial already, which takes it a while.
	// Gateways ping every 15 s, and hear of each other every 10; leaf nodes ping every 2 minutes.
	joining("gateways-behind-lb", "8s", "60s", []string{"gateways/stay-up-when-quiet", "core/no-loss-when-quiet-then-busy"},
		[]string{"gateways/interest-restored", "gateways/reply-crosses", "core/delivery-between-all-nodes"})
	joining("leafnodes-behind-lb", "50s", "350s", []string{"leafnodes/stay-up-when-quiet", "core/no-loss-when-quiet-then-busy"},
		[]string{"leafnodes/messages-cross", "core/delivery-between-all-nodes"})
	// A leaf node waits a second for INFO, a gateway as long as its pings allow. That a leaf node never connects takes the
	// half minute that it has for it.
	always := "tcp-request inspect-delay 800ms\ntcp-request content accept if WAIT_END"
	return append(rows,
		realRow{topology: "gateways-behind-lb", name: "gateways-behind-lb, inspect-delay 1s", real: haproxy(waits, "", ""), set: "inspection=client-first inspection-delay=1s", assert: []string{"gateways/connect"}},
		realRow{topology: "leafnodes-behind-lb", name: "leafnodes-behind-lb, inspect-delay 5s", real: haproxy(strings.Replace(waits, "1s", "5s", 1), "", ""), set: "inspection=client-first", assert: []string{"leafnodes/connect"}},
		realRow{topology: "leafnodes-behind-lb", name: "leafnodes-behind-lb, inspect-delay 800ms, always", real: haproxy(always, "", ""), set: "inspection=wait-end inspection-delay=800ms", assert: []string{"leafnodes/connect"}})
}

// TestRealBalancersGetTheSameVerdicts puts HAProxy and nginx in the place of the simulated balancer. What is compared
// is what judges say of what NATS showed, and of which connections HAProxy's log says that they ended, and why. A real
// balancer has no other events: that its setting took effect is proved by its configuration, which it has read, and by
// the canary where that shows (idle timeouts, restarts), not by Proved.
func TestRealBalancersGetTheSameVerdicts(t *testing.T) {
	if testing.Short() || os.Getenv("LBTEST_LONG") == "" && os.Getenv("LBTEST_NIGHTLY") == "" {
		t.Skip("long: starts clusters behind real balancers") // which want the processors for themselves
	}
	rt := embedded.New(embedded.Options{})
	defer func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}()
	turns := make(chan struct{}, 2) // as a run of lbtest on two cores
	t.Run("side by side", func(t *testing.T) {
		room := make(chan struct{}, 3)
		var alone sync.RWMutex // rows that are asked beside others hold it together
		for _, r := range realRows() {
			if !r.long && os.Getenv("LBTEST_NIGHTLY") == "" {
				continue
			}
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				if !installed(t, r.real.program) {
					return
				}
				room <- struct{}{}
				defer func() { <-room }()
				alone.RLock()
				differ, doubtful := r.compare(t, rt, turns)
				alone.RUnlock()
				if len(differ) > 0 && doubtful {
					// What a machine that was late, or a verdict next to its boundary, makes of two labs is asked again, alone.
					t.Logf("asked again alone: %s", strings.Join(differ, "; "))
					alone.Lock()
					differ, _ = r.compare(t, rt, turns)
					alone.Unlock()
				}
				for _, text := range differ {
					t.Error(text)
				}
			})
		}
	})
}

func installed(t *testing.T, program string) bool {
	t.Helper()
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
		return true
	case os.Getenv("LBTEST_REQUIRE_REAL_LB") == "1":
		t.Errorf("%s is asked for and not here: %v", program, err)
	default:
		t.Skipf("left out: %v (Debian has it as a package)", err)
	}
	return false
}

// compare judges the row's labs behind both, against the same control. It tells where they differ, and whether this
// machine was too late for it to count, or a verdict was next to its boundary.
func (r realRow) compare(t *testing.T, rt topologies.Runtime, turns chan struct{}) (differ []string, doubtful bool) {
	s := row{name: r.name, topology: cmp.Or(r.topology, "clients-behind-lb"), set: r.set, nats: r.nats, client: r.client}.with(t, r.assert)
	for _, l := range s.labs {
		var histories [3]assertions.History
		var errs [3]error
		var all sync.WaitGroup
		for i, one := range []struct {
			lab
			on topologies.Runtime
		}{{l, fronted{rt, r.real}}, {l, rt}, {l.control(), rt}} {
			all.Go(func() {
				turns <- struct{}{}
				up := sync.OnceFunc(func() { <-turns })
				defer up()
				histories[i], errs[i] = one.run(t.Context(), one.on, up)
			})
		}
		all.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		for i := range histories[:2] {
			histories[i].Control = &histories[2]
		}
		for _, h := range histories {
			_, late := assertions.Starved(h)
			doubtful = doubtful || late
		}
		for _, a := range l.judged {
			actual, simulated := a.Judge(histories[0].Of(a.Observe))[0], a.Judge(histories[1].Of(a.Observe))[0]
			t.Logf("%s: %s %s: %s; simulated %s: %s", a.Name, r.real.program, actual.Verdict, actual.Got, simulated.Verdict, simulated.Got)
			if actual.Verdict != simulated.Verdict || actual.Unseen || simulated.Unseen {
				differ = append(differ, fmt.Sprintf("%s: %s is %s (%s), the simulation %s (%s)", a.Name, r.real.program, actual.Verdict, actual.Got, simulated.Verdict, simulated.Got))
				doubtful = doubtful || actual.Close() || simulated.Close()
			}
		}
	}
	return differ, doubtful
}

// with is the row's scenario with these assertions and no others.
func (r row) with(t *testing.T, names []string) scenario {
	t.Helper()
	s := r.scenario(t)
	var chosen []assertions.Assertion
	for _, name := range names {
		chosen = append(chosen, judgedBy(t, name))
	}
	again, err := newScenario(s.topology, origin{}, strings.Fields(r.set), common{s.nats, s.client, s.clients, topologies.Password, s.limits, nil}, chosen, fastest, 1)
	if err != nil || again.skip != "" || len(again.labs) == 0 {
		t.Fatalf("nothing is judged: %v %s", err, again.skip)
	}
	return again
}

// fronted is the nodes' runtime with a real balancer before them.
type fronted struct {
	topologies.Runtime
	real real
}

func (b fronted) place(order opening, note func(proxies.Event)) (balancer, error) {
	p := &process{real: b.real, profile: order.profile.Scaled(order.factor), note: note, fronts: map[string]*os.File{}, addrs: map[string]string{}}
	for _, f := range order.fronts {
		if err := p.listen(f.Name); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// process is a real balancer that runs: one process for each call of Serve, all of the same configuration.
type process struct {
	real    real
	profile proxies.Profile
	note    func(proxies.Event)
	fronts  map[string]*os.File // listening sockets
	addrs   map[string]string
	running []*worker
}

// listen opens the socket on which the program will accept what comes to a frontend. It is handed down, as systemd does:
// who dials before the program runs, or while it is started again, waits for it as before the simulated balancer. How long
// this machine takes to start a program is no balancer's doing.
func (p *process) listen(front string) error {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer l.Close() // the file is another of the same socket
	p.addrs[front] = l.Addr().String()
	p.fronts[front], err = l.File()
	return err
}

type worker struct {
	args   []string
	dir    string
	fronts []*os.File // what it inherits, from descriptor 3 on
	cmd    *exec.Cmd
	gone   chan struct{}
	note   func(proxies.Event)
}

// inherited is the descriptor by which a program knows the first file that it is handed down.
const inherited = 3

// output is what a balancer says: its sessions as events, the rest to be read if it does not start.
type output struct {
	note func(proxies.Event)
	line []byte // that is not whole yet
	said bytes.Buffer
}

// session is HAProxy's log-format: the frontend, the dialler's address, the frontend's, the balancer's own towards the
// backend, and the state in which it ended.
const session = "session %f %ci:%cp %fi:%fp %bi:%bp %ts"

func (o *output) Write(p []byte) (int, error) {
	o.line = append(o.line, p...)
	for {
		line, rest, whole := bytes.Cut(o.line, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		o.line = rest
		words := strings.Fields(string(line))
		if len(words) != len(strings.Fields(session)) || words[0] != "session" {
			o.said.Write(append(line, '\n'))
			continue
		}
		e := proxies.Event{At: time.Now(), Front: words[1], Conn: words[1] + "#" + words[2], ClientAddr: words[2], FrontAddr: words[3], LocalAddr: words[4], How: string(proxies.Close)}
		if state := words[5]; state == "cD" || state == "sD" { // one side's timer, while data could flow
			e.Kind, e.Why = proxies.KindExpired, "idle-timeout"
			o.note(e)
		}
		e.Kind = proxies.KindEnd
		o.note(e)
	}
}

func (p *process) Addr(front string) string { return p.addrs[front] }

func (p *process) Serve(backends map[string][]proxies.Backend) error {
	dir, err := os.MkdirTemp("", "real")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's workers are nobody
		return err
	}
	c := &worker{dir: dir, note: p.note, args: []string{"-W", "-f", filepath.Join(dir, "conf")}}
	names := slices.Sorted(maps.Keys(backends))
	for _, front := range names {
		c.fronts = append(c.fronts, p.fronts[front])
	}
	text := p.haproxy(dir, names, backends)
	if p.real.program == "nginx" {
		c.args, text = []string{"-c", filepath.Join(dir, "conf"), "-p", dir}, p.nginx(dir, names, backends)
	}
	idle := fmt.Sprintf("%dms", p.profile.Duration("idle-timeout").Milliseconds())
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(strings.ReplaceAll(text, "{idle}", idle)), 0o600); err != nil {
		return err
	}
	p.running = append(p.running, c)
	return c.start(p.real.program)
}

func (p *process) haproxy(dir string, fronts []string, backends map[string][]proxies.Backend) string {
	var text strings.Builder
	fmt.Fprintf(&text, "global\n  stats socket %s/admin level admin\n  log stdout format raw local0\ndefaults\n  mode %s\n  log global\n  log-format %q\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n", dir, p.real.mode, session)
	for i, front := range fronts {
		fmt.Fprintf(&text, "frontend %s\n  bind fd@%d %s\n  %s\n  default_backend to-%s\nbackend to-%s\n  balance roundrobin\n  %s\n",
			front, inherited+i, p.real.bind, strings.ReplaceAll(p.real.front, "\n", "\n  "), front, front, strings.ReplaceAll(p.real.back, "\n", "\n  "))
		for _, b := range backends[front] {
			_, port, _ := net.SplitHostPort(b.Monitor)
			fmt.Fprintf(&text, "  server %s %s %s\n", b.Name, b.Addr, strings.ReplaceAll(p.real.server, "{monitor}", port))
		}
	}
	return text.String()
}

func (p *process) nginx(dir string, fronts []string, backends map[string][]proxies.Backend) string {
	var text strings.Builder
	fmt.Fprintf(&text, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nworker_processes 1;\npid %s/pid;\nerror_log %s/error.log;\nevents { worker_connections 512; }\nstream {\n", dir, dir)
	fmt.Fprintf(&text, "  server { listen unix:%s/admin; return \"\"; }\n", dir) // answers when all others do
	for _, front := range fronts {
		fmt.Fprintf(&text, "  upstream to-%s {\n", front)
		for _, b := range backends[front] {
			fmt.Fprintf(&text, "    server %s;\n", b.Addr)
		}
		fmt.Fprintf(&text, "  }\n  server {\n    listen %s;\n    proxy_pass to-%s;\n    %s\n  }\n", p.addrs[front], front, p.real.front)
	}
	return text.String() + "}\n"
}

// start runs the program in a process group of its own, which dies with the test, and waits until it listens.
func (c *worker) start(program string) error {
	_ = os.Remove(filepath.Join(c.dir, "admin")) // a killed one leaves it
	said := &output{note: c.note}
	c.cmd, c.gone = exec.Command(program, c.args...), make(chan struct{})
	c.cmd.Stdout, c.cmd.Stderr = said, said
	c.cmd.ExtraFiles = c.fronts
	var known strings.Builder // nginx is told as by another nginx that it replaces, and finds its addresses by itself
	for i := range c.fronts {
		fmt.Fprintf(&known, "%d;", inherited+i)
	}
	c.cmd.Env = append(os.Environ(), "NGINX="+known.String())
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	cmd, gone := c.cmd, c.gone
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); { // a hundred times what they take
		if asked, err := net.Dial("unix", filepath.Join(c.dir, "admin")); err == nil {
			asked.Close()
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("%s ended at its start: %s", program, said.said.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen", program)
}

func (c *worker) kill() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.gone
}

// Strike is what an operator does to a balancer.
func (p *process) Strike(context.Context) error {
	switch p.profile.Value("restart") {
	case "crash":
		p.note(proxies.Event{At: time.Now(), Kind: proxies.KindCrash})
		errs := make([]error, len(p.running))
		var all sync.WaitGroup
		for _, c := range p.running {
			c.kill()
		}
		for i, c := range p.running {
			all.Go(func() { errs[i] = c.start(p.real.program) })
		}
		all.Wait()
		return errors.Join(errs...)
	case "reload":
		p.note(proxies.Event{At: time.Now(), Kind: proxies.KindReload})
		again := syscall.SIGUSR2 // HAProxy's master
		if p.real.program == "nginx" {
			again = syscall.SIGHUP
		}
		for _, c := range p.running {
			if err := c.cmd.Process.Signal(again); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *process) Close() error {
	var errs []error
	for _, c := range p.running {
		c.kill()
		errs = append(errs, os.RemoveAll(c.dir))
	}
	for _, f := range p.fronts {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// What no row asks of a real balancer.
var errSimulatedOnly = errors.New("only the simulated balancer does that")

func (*process) Cut(string) bool      { return false }
func (*process) Remove(string) error  { return errSimulatedOnly }
func (*process) Restore(string) error { return errSimulatedOnly }
func (*process) Unplug(string) error  { return errSimulatedOnly }
func (*process) Plug(string) error    { return errSimulatedOnly }

func TestRealRowsAskWhatIsThere(t *testing.T) {
	for _, r := range realRows() {
		for _, name := range r.assert {
			if !slices.ContainsFunc(assertions.All(), func(a assertions.Assertion) bool { return a.Name == name }) {
				t.Errorf("%s: there is no assertion %s", r.name, name)
			}
		}
	}
}

func TestHAProxysLogSaysWhatItEnded(t *testing.T) {
	var got []string
	o := output{note: func(e proxies.Event) {
		got = append(got, fmt.Sprint(e.Kind, " ", e.Front, " ", e.ClientAddr, " ", e.FrontAddr, " ", e.LocalAddr, " ", e.Why))
	}}
	for _, part := range []string{
		"[NOTICE] (1) : started\nsession east 127.0.0.1:1 127.0.0.1:2 127.0.", "0.1:3 sD\n",
		"session east 127.0.0.1:4 127.0.0.1:2 127.0.0.1:5 CD\nsession west 127.0.0.1:6 127.0.0.1:7 -:- cR\n",
	} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	want := []string{
		"expired east 127.0.0.1:1 127.0.0.1:2 127.0.0.1:3 idle-timeout", "end east 127.0.0.1:1 127.0.0.1:2 127.0.0.1:3 idle-timeout",
		"end east 127.0.0.1:4 127.0.0.1:2 127.0.0.1:5 ", "end west 127.0.0.1:6 127.0.0.1:7 -:- ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if said := o.said.String(); said != "[NOTICE] (1) : started\n" {
		t.Errorf("beside sessions it said %q", said)
	}
}
