package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	name   string
	real   real
	set    string
	nats   string
	client string
	assert []string
	long   bool // in make integration; make fidelity and make nightly have all
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
	return append(rows,
		realRow{name: "proxy_protocol on, looked for", real: real{program: "nginx", front: "proxy_protocol on;"}, set: "proxy-protocol=v1", nats: "proxy_protocol=true", assert: arriving},
		realRow{name: "no header, looked for", real: haproxy("", "", ""), set: "proxy-protocol=off", nats: "proxy_protocol=true", assert: arriving})
}

// TestRealBalancersGetTheSameVerdicts puts HAProxy and nginx in the place of the simulated balancer. What is compared
// is what judges say of what NATS showed. A real balancer writes no events: that its setting took effect is proved by
// its configuration, which it has read, and by the canary where that shows (idle timeouts, restarts), not by Proved.
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
	starts := make(starting, 2) // as a run of lbtest on two cores
	t.Run("side by side", func(t *testing.T) {
		room := make(chan struct{}, 3)
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
				r.compare(t, rt, starts)
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

// compare judges the row's labs behind both, against the same control.
func (r realRow) compare(t *testing.T, rt topologies.Runtime, starts starting) {
	for _, name := range r.assert {
		if _, ok := assertions.Find(name); !ok {
			t.Fatalf("there is no assertion %s", name)
		}
	}
	s := row{name: r.name, topology: "clients-behind-lb", set: r.set, nats: r.nats, client: r.client}.with(t, r.assert)
	for _, l := range s.labs {
		var histories [3]assertions.History
		var errs [3]error
		var all sync.WaitGroup
		for i, run := range []func() (assertions.History, error){
			func() (assertions.History, error) { return l.run(t.Context(), fronted{rt, r.real}, starts) },
			func() (assertions.History, error) { return l.run(t.Context(), rt, starts) },
			func() (assertions.History, error) { return l.control().run(t.Context(), rt, starts) },
		} {
			all.Go(func() { histories[i], errs[i] = run() })
		}
		all.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		for i := range histories[:2] {
			histories[i].Control = &histories[2]
		}
		for _, a := range l.judged {
			actual, simulated := a.Judge(histories[0].Of(a.Observe))[0], a.Judge(histories[1].Of(a.Observe))[0]
			t.Logf("%s: %s %s: %s; simulated %s: %s", a.Name, r.real.program, actual.Verdict, actual.Got, simulated.Verdict, simulated.Got)
			if actual.Verdict != simulated.Verdict || actual.Unseen || simulated.Unseen {
				t.Errorf("%s: %s is %s (%s), the simulation %s (%s)", a.Name, r.real.program, actual.Verdict, actual.Got, simulated.Verdict, simulated.Got)
			}
		}
	}
}

// with is the row's scenario with these assertions and no others.
func (r row) with(t *testing.T, names []string) scenario {
	t.Helper()
	s := r.scenario(t)
	var chosen []assertions.Assertion
	for _, name := range names {
		a, _ := assertions.Find(name)
		chosen = append(chosen, a)
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
	p := &process{real: b.real, profile: order.profile.Scaled(order.factor), note: note, addrs: map[string]string{}}
	for _, f := range order.fronts {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		p.addrs[f.Name] = l.Addr().String() // free again until the balancer takes it
		l.Close()
	}
	return p, nil
}

// process is a real balancer that runs: one process for each call of Serve, all of the same configuration.
type process struct {
	real    real
	profile proxies.Profile
	note    func(proxies.Event)
	addrs   map[string]string
	running []*worker
}

type worker struct {
	args []string
	dir  string
	cmd  *exec.Cmd
	gone chan struct{}
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
	c := &worker{dir: dir, args: []string{"-W", "-f", filepath.Join(dir, "conf")}}
	text := p.haproxy(dir, backends)
	if p.real.program == "nginx" {
		c.args, text = []string{"-c", filepath.Join(dir, "conf"), "-p", dir}, p.nginx(dir, backends)
	}
	idle := fmt.Sprintf("%dms", p.profile.Duration("idle-timeout").Milliseconds())
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(strings.ReplaceAll(text, "{idle}", idle)), 0o600); err != nil {
		return err
	}
	p.running = append(p.running, c)
	return c.start(p.real.program)
}

func (p *process) haproxy(dir string, backends map[string][]proxies.Backend) string {
	var text strings.Builder
	fmt.Fprintf(&text, "global\n  stats socket %s/admin level admin\ndefaults\n  mode %s\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n", dir, p.real.mode)
	for front, servers := range backends {
		fmt.Fprintf(&text, "frontend %s\n  bind %s %s\n  %s\n  default_backend to-%s\nbackend to-%s\n  balance roundrobin\n  %s\n",
			front, p.addrs[front], p.real.bind, strings.ReplaceAll(p.real.front, "\n", "\n  "), front, front, strings.ReplaceAll(p.real.back, "\n", "\n  "))
		for _, b := range servers {
			_, port, _ := net.SplitHostPort(b.Monitor)
			fmt.Fprintf(&text, "  server %s %s %s\n", b.Name, b.Addr, strings.ReplaceAll(p.real.server, "{monitor}", port))
		}
	}
	return text.String()
}

func (p *process) nginx(dir string, backends map[string][]proxies.Backend) string {
	var text strings.Builder
	fmt.Fprintf(&text, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nworker_processes 1;\npid %s/pid;\nerror_log %s/error.log;\nevents { worker_connections 512; }\nstream {\n", dir, dir)
	fmt.Fprintf(&text, "  server { listen unix:%s/admin; return \"\"; }\n", dir) // answers when all others do
	for front, servers := range backends {
		fmt.Fprintf(&text, "  upstream to-%s {\n", front)
		for _, b := range servers {
			fmt.Fprintf(&text, "    server %s;\n", b.Addr)
		}
		fmt.Fprintf(&text, "  }\n  server {\n    listen %s;\n    proxy_pass to-%s;\n    %s\n  }\n", p.addrs[front], front, p.real.front)
	}
	return text.String() + "}\n"
}

// start runs the program in a process group of its own, which dies with the test, and waits until it listens.
func (c *worker) start(program string) error {
	_ = os.Remove(filepath.Join(c.dir, "admin")) // a killed one leaves it
	var said bytes.Buffer
	c.cmd, c.gone = exec.Command(program, c.args...), make(chan struct{})
	c.cmd.Stdout, c.cmd.Stderr = &said, &said
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
			return fmt.Errorf("%s ended at its start: %s", program, said.String())
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
		for _, c := range p.running {
			c.kill()
		}
		for _, c := range p.running {
			if err := c.start(p.real.program); err != nil {
				return err
			}
		}
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
