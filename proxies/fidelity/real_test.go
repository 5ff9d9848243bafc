package fidelity

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// real is a real balancer's configuration, in its own words. {listen} and {servers} stand for what is known at
// the start only, {pem} for a file with certificate and key, {dir} for a directory of its own.
type real struct {
	program string // haproxy or nginx
	config  string
	more    string // behind each server's address
}

// haproxy is HAProxy in mode tcp with these lines in the frontend and in the backend, {more} behind each
// server's address.
func haproxy(front, back, more string) real {
	return real{"haproxy", `
global
  stats socket {dir}/admin level admin
defaults
  mode tcp
  timeout connect 5s
frontend lb
  bind {listen}` + "\n  " + strings.ReplaceAll(front, "\n", "\n  ") + `
  default_backend nodes
backend nodes
  ` + strings.ReplaceAll(back, "\n", "\n  ") + `
{servers}
`, more}
}

// stream is nginx's stream proxy with these lines in its server block.
func stream(lines string) real {
	return real{"nginx", `
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process on;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log;
events { worker_connections 512; }
stream {
  upstream nodes {
{servers}
  }
  server {
    listen {listen};
    proxy_pass nodes;
    ` + strings.ReplaceAll(lines, "\n", "\n    ") + `
  }
}
`, ""}
}

// process is a real balancer that runs.
type process struct {
	t     *testing.T
	real  real
	addr  string
	dir   string
	child *exec.Cmd
	gone  chan struct{}
}

// behindReal starts a row's servers and the real balancer before them.
func (r row) behindReal(t *testing.T) *way {
	w := &way{T: t, servers: r.server.start(t)}
	dir, err := os.MkdirTemp("", "fidelity") // a test's own has commas in it, which HAProxy takes for its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &process{t: t, real: r.real, addr: freeAddr(t), dir: dir}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pem", string(certificate.cert)+string(certificate.key))
	write("cert.pem", string(certificate.cert))
	write("key.pem", string(certificate.key))
	var servers strings.Builder
	for _, s := range w.servers {
		switch r.real.program {
		case "haproxy":
			fmt.Fprintf(&servers, "  server %s %s %s\n", s.name, s.addr, r.real.more)
		case "nginx":
			fmt.Fprintf(&servers, "    server %s;\n", s.addr)
		}
	}
	write("conf", strings.NewReplacer("{listen}", p.addr, "{dir}", p.dir, "{pem}", filepath.Join(p.dir, "pem"),
		"{ports}", portRange(t)).Replace(strings.ReplaceAll(r.real.config, "{servers}", servers.String())))
	if os.Getuid() == 0 && r.real.program == "nginx" {
		// Its workers are nobody.
		if err := os.Chmod(p.dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.start()
	t.Cleanup(func() { p.stop(syscall.SIGTERM) })
	w.addr, w.trust = p.addr, certificate.cert
	w.crash = func() {
		p.kill()
		p.start()
	}
	w.reload = p.reload
	w.drain = func(server string) { p.admin("set server nodes/" + server + " state drain") }
	return w
}

func (p *process) args() []string {
	if p.real.program == "nginx" {
		return []string{"-c", filepath.Join(p.dir, "conf"), "-p", p.dir}
	}
	return []string{"-W", "-f", filepath.Join(p.dir, "conf")}
}

// start runs the program in a process group of its own and waits until it listens.
func (p *process) start() {
	p.t.Helper()
	var said bytes.Buffer
	p.child = exec.Command(p.real.program, p.args()...)
	p.child.Stdout, p.child.Stderr = &said, &said
	p.child.SysProcAttr = ownGroup()
	if err := p.child.Start(); err != nil {
		p.t.Fatal(err)
	}
	child, gone := p.child, make(chan struct{})
	p.gone = gone
	go func() {
		_ = child.Wait()
		close(gone)
	}()
	deadline := time.Now().Add(10 * time.Second) // a hundred times what they take
	for {
		if p.listens() {
			return
		}
		select {
		case <-gone:
			p.t.Fatalf("%s ended at its start: %s", p.real.program, said.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s does not listen", p.real.program)
		}
	}
}

// listens asks HAProxy at its own socket, which is there once the others are: a connection of ours would take one of
// those that a row counts. nginx has no such socket and no such row.
func (p *process) listens() bool {
	network, addr := "tcp", p.addr
	if p.real.program == "haproxy" {
		network, addr = "unix", filepath.Join(p.dir, "admin")
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.child.Process.Pid, s) }

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.gone
}

func (p *process) stop(s syscall.Signal) {
	p.signal(s)
	select {
	case <-p.gone:
	case <-time.After(2 * time.Second):
		p.kill()
	}
}

// reload has the configuration read again: old workers keep their connections.
func (p *process) reload() {
	s := syscall.SIGUSR2 // HAProxy's master
	if p.real.program == "nginx" {
		s = syscall.SIGHUP
	}
	if err := p.child.Process.Signal(s); err != nil {
		p.t.Error(err)
	}
}

// admin says one line to HAProxy's own socket.
func (p *process) admin(line string) {
	c, err := net.Dial("unix", filepath.Join(p.dir, "admin"))
	if err != nil {
		p.t.Error(err)
		return
	}
	defer c.Close()
	fmt.Fprintln(c, line)
	var answer bytes.Buffer
	_, _ = answer.ReadFrom(c)
	if said := strings.TrimSpace(answer.String()); said != "" {
		p.t.Errorf("%s: %s", line, said)
	}
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// portRange is five ports next to each other that nobody has at the moment.
func portRange(t *testing.T) string {
	for base := 21000; base < 30000; base += 50 {
		free := true
		for port := base; port < base+5; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return fmt.Sprintf("%d-%d", base, base+4)
		}
	}
	t.Fatal("there are no five free ports in a row")
	return ""
}
