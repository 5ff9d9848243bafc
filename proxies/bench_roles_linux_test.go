package proxies_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// The processes of a comparison: what stands behind the balancers, and the balancers. The test binary starts
// itself again for those that are not programs of their own.

// roleKey is the environment variable by which a process knows that it is one of them.
const roleKey = "LBTEST_BENCH_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleKey); role {
	case "":
		os.Exit(m.Run())
	case "backends":
		playBackends()
	case "toxiproxy":
		playToxiproxy(os.Args[1:])
	case "clients":
		playClients(os.Args[1], os.Args[2])
	}
	io.Copy(io.Discard, os.Stdin) // until the comparison is over
}

// addresses are where the two services answer, directly or through a balancer.
type addresses struct {
	Nats string // a nats-server
	TCP  string // see serveTCP
	// Told is the same nats-server's twin that expects a PROXY header. Only backends have one.
	Told string
}

func playBackends() {
	var at addresses
	for _, told := range []bool{false, true} {
		s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, ProxyProtocol: told})
		if err != nil {
			panic(err)
		}
		go s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			panic("the nats-server is not ready")
		}
		if told {
			at.Told = s.Addr().String()
		} else {
			at.Nats = s.Addr().String()
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	at.TCP = l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				panic(err)
			}
			go serveTCP(c)
		}
	}()
	json.NewEncoder(os.Stdout).Encode(at)
}

// exchanged is what "swap" sends each way: what a connection in use has filled buffers with.
const exchanged = 256 << 10

// serveTCP does what the first line asks for: "sink" takes everything; "swap" takes a '.' as a sign of life, and takes and gives
// exchanged bytes after any other. A PROXY header before it is taken for granted.
func serveTCP(c net.Conn) {
	defer c.Close()
	line := ""
	for one := make([]byte, 1); ; {
		if _, err := c.Read(one); err != nil {
			return
		}
		if one[0] != '\n' {
			line += string(one)
			continue
		}
		if !strings.HasPrefix(line, "PROXY ") {
			break
		}
		line = ""
	}
	if line == "sink" {
		io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10))
		return
	}
	for one := make([]byte, 1); ; { // a connection at rest holds no buffer here either
		if _, err := c.Read(one); err != nil {
			return
		}
		if one[0] == '.' {
			continue
		}
		if _, err := io.CopyN(io.Discard, c, exchanged); err != nil {
			return
		}
		c.Write(make([]byte, exchanged))
	}
}

// playToxiproxy is toxiproxy as it comes, one of its proxies for each service, without a toxic.
func playToxiproxy(upstreams []string) {
	s := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	var listens []string
	for i, upstream := range upstreams {
		p := toxiproxy.NewProxy(s, fmt.Sprint(i), "127.0.0.1:0", upstream)
		if err := p.Start(); err != nil {
			panic(err)
		}
		listens = append(listens, p.Listen)
	}
	json.NewEncoder(os.Stdout).Encode(addresses{Nats: listens[0], TCP: listens[1]})
}

// playClients connects NATS clients, says how many, and then, for each line it is told, how many of them have been
// connected ever since and answer.
func playClients(url, number string) {
	n, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	all := make([]*nats.Conn, n)
	each := func(do func(i int) bool) {
		var well atomic.Int64
		var hands sync.WaitGroup
		next := make(chan int)
		for range 64 { // at once, which two cores serve within a client's timeout
			hands.Go(func() {
				for i := range next {
					if do(i) {
						well.Add(1)
					}
				}
			})
		}
		for i := range n {
			next <- i
		}
		close(next)
		hands.Wait()
		fmt.Println(well.Load())
	}
	each(func(i int) bool {
		var err error
		if all[i], err = nats.Connect(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return err == nil
	})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		each(func(i int) bool {
			return all[i] != nil && all[i].FlushTimeout(10*time.Second) == nil && all[i].Stats().Reconnects == 0
		})
	}
	os.Exit(0)
}

// process is a child of the comparison, which ends with it whatever happens.
type process struct {
	cmd  *exec.Cmd
	said io.ReadCloser // its stdout or stderr, by who speaks
	told io.Writer     // its stdin, whose end is its own
	pid  int
}

// spawn starts a child. The caller's goroutine stays on its thread, whose end would be the child's.
func spawn(t testing.TB, speaks int, env []string, program string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	told, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe := cmd.StdoutPipe
	if speaks == 2 {
		pipe = cmd.StderrPipe
	}
	said, err := pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	p := &process{cmd, said, told, cmd.Process.Pid}
	t.Cleanup(p.end)
	return p
}

func (p *process) end() {
	if p != nil && p.pid != 0 {
		p.pid = 0
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

// played starts this test binary in a role and waits for its addresses.
func played(t testing.TB, role string, args ...string) (*process, addresses) {
	t.Helper()
	p := spawn(t, 1, []string{roleKey + "=" + role}, os.Args[0], args...)
	var at addresses
	if err := json.NewDecoder(p.said).Decode(&at); err != nil {
		t.Fatalf("starting %s: %v", role, err)
	}
	return p, at
}

// haproxy starts the real one, in TCP mode and with what it has by default; idle is its timeouts.
func haproxy(t testing.TB, behind addresses, idle time.Duration) (*process, addresses) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatal("the comparison needs HAProxy: apt-get install haproxy")
	}
	at := addresses{Nats: free(t), TCP: free(t)}
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf(`global
	maxconn 9950
defaults
	mode tcp
	timeout connect 5s
	timeout client %[1]dms
	timeout server %[1]dms
listen nats
	bind %[2]s
	server s %[3]s
listen tcp
	bind %[4]s
	server s %[5]s
`, idle.Milliseconds(), at.Nats, behind.Nats, at.TCP, behind.TCP)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, 2, nil, program, "-db", "-q", "-f", config)
	go io.Copy(io.Discard, p.said)
	for _, addr := range []string{at.Nats, at.TCP} {
		answers(t, addr)
	}
	return p, at
}

// sharing starts the program at an address that others share.
func sharing(t testing.TB, program, at string, backends ...string) (*process, string) {
	t.Helper()
	p := spawn(t, 2, nil, program, "balancer", "--share-port", "--listen", at, "--to", strings.Join(backends, ","), "--set", "idle-timeout=1h")
	lines := bufio.NewScanner(p.said)
	if !lines.Scan() {
		t.Fatal("lbtest ended before it was ready")
	}
	ready, found := strings.CutPrefix(lines.Text(), "lbtest: balancing ")
	if !found {
		t.Fatalf("lbtest says %q", lines.Text())
	}
	go io.Copy(os.Stderr, p.said)
	return p, strings.Fields(ready)[0]
}

// lbtest starts the program.
func lbtest(t testing.TB, program string, behind addresses, settings ...string) (*process, addresses) {
	t.Helper()
	args := []string{"balancer", "--listen", "nats=127.0.0.1:0", "--listen", "tcp=127.0.0.1:0", "--to", "tcp=" + behind.TCP}
	nats := behind.Nats
	for _, s := range settings {
		args = append(args, "--set", s)
		if strings.HasPrefix(s, "proxy-protocol=") {
			nats = behind.Told
		}
	}
	p := spawn(t, 2, nil, program, append(args, "--to", "nats="+nats)...)
	var at addresses
	lines := bufio.NewScanner(p.said)
	for (at.Nats == "" || at.TCP == "") && lines.Scan() {
		ready, found := strings.CutPrefix(lines.Text(), "lbtest: balancing ")
		if !found {
			t.Fatalf("lbtest says %q", lines.Text())
		}
		name, addr, _ := strings.Cut(strings.Fields(ready)[0], "=")
		if name == "nats" {
			at.Nats = addr
		} else {
			at.TCP = addr
		}
	}
	if at.Nats == "" || at.TCP == "" {
		t.Fatal("lbtest ended before it was ready")
	}
	go io.Copy(os.Stderr, p.said)
	return p, at
}

// buildLbtest builds the program as make does, with whatever flags besides.
func buildLbtest(t testing.TB, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "lbtest")
	build := exec.Command("go", append(append([]string{"build", "-trimpath", "-buildvcs=false"}, flags...), "-o", program, "../cmd/lbtest")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building lbtest: %v\n%s", err, out)
	}
	return program
}

// free is an address that nobody listens at for now.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// answers waits until somebody accepts there.
func answers(t testing.TB, addr string) {
	t.Helper()
	for late := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(late) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func init() {
	if os.Getenv(roleKey) == "backends" {
		debug.SetGCPercent(400) // what stands behind is not what is measured
	}
}
