package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	encoding "encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
	"github.com/lbtest/lbtest/proxies"
)

func TestFlagsAndEnvironmentBecomeAccess(t *testing.T) {
	env := map[string]string{"NATS_URL": "env", "NATS_CONTEXT": "env", "NATS_USER": "env", "NATS_PASSWORD": "env", "NATS_TOKEN": "env", "NATS_CREDS": "env",
		"NATS_NKEY": "env", "NATS_CERT": "env", "NATS_KEY": "env", "NATS_CA": "env", "NATS_JWT": "env", "NATS_SEED": "env", "NATS_TIMEOUT": "7s"}
	for _, c := range []struct {
		name, args string
		env        map[string]string
		want       assertions.Access
	}{
		{"flags", "-s a --context b --user c --password d --token e --creds f --nkey g --jwt l --seed m --direct n --tlscert h --tlskey i --tlsca j --tlsfirst --timeout 3s --inbox-prefix k --connection-name o --socks-proxy none", nil,
			assertions.Access{Servers: "a", JWT: "l", Seed: "m", Direct: "n", Context: "b", User: "c", Password: "d", Token: "e", Creds: "f", Nkey: "g", Cert: "h", Key: "i", CA: "j", TLSFirst: true,
				Timeout: 3 * time.Second, InboxPrefix: "k", Name: "o", SocksProxy: "none"}},
		{"no context", "-s a --no-context", map[string]string{"NATS_CONTEXT": "env", "NATS_SOCKS_PROXY": "env"}, assertions.Access{Servers: "a", NoContext: true, SocksProxy: "env", Timeout: 5 * time.Second}},
		{"environment", "", env, assertions.Access{Servers: "env", JWT: "env", Seed: "env", Context: "env", User: "env", Password: "env", Token: "env", Creds: "env", Nkey: "env", Cert: "env", Key: "env",
			CA: "env", Timeout: 7 * time.Second}},
		{"flags win", "--server=a --user= --timeout=1s", env, assertions.Access{Servers: "a", JWT: "env", Seed: "env", Context: "env", Password: "env", Token: "env", Creds: "env", Nkey: "env", Cert: "env",
			Key: "env", CA: "env", Timeout: time.Second}},
		{"nothing", "", nil, assertions.Access{Timeout: 5 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lab{env: c.env, plan: fakePlan{report: reportOf(assertions.Safe)}}
			if got := l.run(append([]string{"validate"}, strings.Fields(c.args)...)...); got != 0 {
				t.Fatalf("exit %d: %s", got, l.log.String())
			}
			if d := cmp.Diff(c.want, l.looked.Access); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
			if l.runtime != nil || l.options != nil {
				t.Error("a lab was thought of")
			}
		})
	}
	l := lab{env: map[string]string{"NATS_TIMEOUT": "hidden"}}
	if got := l.run("validate", "-s", "a"); got != exitUsage || !strings.Contains(l.log.String(), "$NATS_TIMEOUT: want a duration") || strings.Contains(l.log.String(), "hidden") {
		t.Errorf("exit %d: %s", got, l.log.String())
	}
}

func TestValidateExitsAsItsReportSays(t *testing.T) {
	for _, c := range []struct {
		verdict assertions.Verdict
		args    string
		want    int
	}{
		{assertions.Safe, "", 0}, {assertions.Risky, "", 0}, {assertions.Risky, "--fail-on risky", 1}, {assertions.Unsafe, "", 1}, {assertions.Unsafe, "--fail-on never", 0},
		{assertions.Errored, "", 3}, {assertions.Skipped, "", 3},
	} {
		l := lab{plan: fakePlan{report: reportOf(c.verdict)}}
		if got := l.run(append([]string{"validate", "-s", "a"}, strings.Fields(c.args)...)...); got != c.want {
			t.Errorf("%s %s: exit %d, want %d", c.verdict, c.args, got, c.want)
		}
	}
}

func TestValidateHelps(t *testing.T) {
	got := output(t, "validate", "--help")
	for _, want := range []string{"-s, --server URL", "--context NAME", "$NATS_PASSWORD", "--tlsfirst", "What comes out:", "--fail-on VERDICT", "Examples:"} {
		if !strings.Contains(strings.Join(strings.Fields(got), " "), want) {
			t.Errorf("the help has no %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "--topology") {
		t.Error("a lab's flags are among those of an endpoint")
	}
	if all := output(t, "--help"); !strings.Contains(all, "\n  validate ") {
		t.Errorf("lbtest --help does not list validate:\n%s", all)
	}
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	if err := os.MkdirAll(filepath.Join(dir, "nats", "context"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nats", "context", "production.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{"--context": "production\n", "--fail-on": "risky\n", "--report": "json=\t"} {
		if got := output(t, "__complete", "validate", typed, ""); !strings.Contains(got, want) {
			t.Errorf("completing %s has no %q:\n%s", typed, want, got)
		}
	}
}

// TestValidateLooks runs the whole command against something that is no NATS server.
func TestValidateLooks(t *testing.T) {
	banner := banners(t, "SSH-2.0-OpenSSH_9.2\r\n")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"-s nats://app:hidden@" + banner, 1, "it speaks SSH (SSH-2.0-OpenSSH_9.2)"},
		{"-s " + banner + " --user hidden --json", 1, `"facts"`},
		{"-s " + banner + " --user=app --password=hidden --verbose", 1, "client/connects"},
		{"-s nats://app:hidden@no-such-host.invalid --quiet", 3, "has no address"},
		{"-s nats://app:hidden@[", 2, "URL 1 is none"},
	} {
		var out, log bytes.Buffer
		p := program{args: append([]string{"validate"}, strings.Fields(c.args)...), out: &out, err: &log, getenv: func(string) string { return "" },
			endpoint: func(o suite.EndpointOptions) (plan, error) { return suite.NewEndpointPlan(o) }}
		if got := p.main(context.Background()); got != c.code {
			t.Errorf("%s: exit %d, want %d: %s", c.args, got, c.code, log.String())
		}
		all := out.String() + log.String()
		if !strings.Contains(strings.Join(strings.Fields(all), " "), c.says) {
			t.Errorf("%s: no %q in\n%s", c.args, c.says, all)
		}
		if strings.Contains(all, "hidden") {
			t.Errorf("%s: a credential is repeated:\n%s", c.args, all)
		}
		if strings.Contains(c.args, "--json") {
			if r, err := report.Read(&out); err != nil || len(r.Scenarios) != 1 || len(r.Scenarios[0].Facts) == 0 {
				t.Errorf("%s: %v, %+v", c.args, err, r)
			} else if b, _ := json.Marshal(r); bytes.Contains(b, []byte("null")) {
				t.Errorf("null in %s", b)
			}
		}
	}
}

// TestValidateKeepsWhatItsVerdictsRestOn looks into the directory of --artifacts: two files, no credential in them, and
// every id that the report names is that of an event.
func TestValidateKeepsWhatItsVerdictsRestOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	var out, log bytes.Buffer
	p := program{args: []string{"validate", "-s", "nats://app:hidden@" + banners(t, "SSH-2.0-hidden\r\n"), "--quiet", "--artifacts", dir}, out: &out, err: &log,
		getenv: func(string) string { return "" }, endpoint: func(o suite.EndpointOptions) (plan, error) { return suite.NewEndpointPlan(o) }}
	if got := p.main(context.Background()); got != 1 {
		t.Errorf("exit %d: %s", got, log.String())
	}
	events, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	saved, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"events": events, "report": saved, "text": out.Bytes()} {
		if bytes.Contains(text, []byte("hidden")) {
			t.Errorf("a credential is in the %s:\n%s", name, text)
		}
	}
	r, err := report.Read(bytes.NewReader(saved))
	if err != nil || r.Events != filepath.Join(dir, "events.jsonl") {
		t.Errorf("the report names %q, %v", r.Events, err)
	}
	named := 0
	for _, result := range r.Results {
		for _, id := range result.Evidence {
			if named++; !bytes.Contains(events, []byte(`{"id":"`+id+`",`)) {
				t.Errorf("%s rests on %s, which is no event", result.Assertion, id)
			}
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 || named == 0 || !bytes.HasPrefix(events, []byte(`{"lab":"endpoint/`)) {
		t.Errorf("in the directory there are %v; %d ids; the events begin with %.60s", left, named, events)
	}
	l := lab{}
	if got := l.run("validate", "-s", "h", "--artifacts", "main_test.go"); got != exitUsage || !strings.Contains(l.log.String(), "--artifacts main_test.go: making the directory:") {
		t.Errorf("exit %d: %s", got, l.log.String())
	}
}

// TestValidateSpeaksToMonitoring runs the whole command as a plugin of a monitoring system.
func TestValidateSpeaksToMonitoring(t *testing.T) {
	banner := banners(t, "SSH-2.0-OpenSSH_9.2\r\n")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"-s nats://app:hidden@" + banner, 2, "CRITICAL " + banner + " Crit:client/connects"},
		{"-s nats://app:hidden@no-such-host.invalid", 3, "UNKNOWN no-such-host.invalid:4222"},
		{"-s nats://app:hidden@[", 3, "UNKNOWN -s: URL 1 is none"},
		{"-s h --max-wait 5s", 3, "UNKNOWN --max-wait is about the idle limit"},
		{"-s h --deep --precision fast", 3, "UNKNOWN --precision fast"},
	} {
		var out, log bytes.Buffer
		p := program{args: append([]string{"validate", "--format", "nagios"}, strings.Fields(c.args)...), out: &out, err: &log, getenv: func(string) string { return "" },
			endpoint: func(o suite.EndpointOptions) (plan, error) { return suite.NewEndpointPlan(o) }}
		if got := p.main(context.Background()); got != c.code {
			t.Errorf("%s: exit %d, want %d: %s", c.args, got, c.code, out.String())
		}
		if !strings.HasPrefix(out.String(), c.says) || strings.Count(out.String(), "\n") != 1 || log.Len() > 0 {
			t.Errorf("%s: got %q and %q, want %q", c.args, out.String(), log.String(), c.says)
		}
		if strings.Contains(out.String(), "hidden") {
			t.Errorf("%s: a credential is repeated: %s", c.args, out.String())
		}
	}
}

func TestDepthIsAskedForByFlags(t *testing.T) {
	for args, want := range map[string]*assertions.Depth{
		"":          nil,
		"--deep":    {MaxWait: 630 * time.Second, Precision: assertions.Precision{Share: 0.02}, Mode: "ladder"},
		"--backend": {MaxWait: 630 * time.Second, Precision: assertions.Precision{Share: 0.02}, Mode: "ladder", StandIn: true},
		"--deep --max-wait 3m --precision 100ms --mode bisect": {MaxWait: 3 * time.Minute, Precision: assertions.Precision{Time: 100 * time.Millisecond}, Mode: "bisect"},
	} {
		l := lab{plan: fakePlan{report: reportOf(assertions.Safe)}}
		if got := l.run(append([]string{"validate", "-s", "a"}, strings.Fields(args)...)...); got != 0 {
			t.Fatalf("%s: exit %d: %s", args, got, l.log.String())
		}
		if d := cmp.Diff(want, l.looked.Deep); d != "" {
			t.Errorf("%s: want -, got +:\n%s", args, d)
		}
	}
	for args, want := range map[string]string{"--mode guess --deep": "want ladder or bisect", "--deep --max-wait 1ms": "--max-wait 1ms", "--mode bisect": "--deep or --backend"} {
		l := lab{plan: fakePlan{}}
		if got := l.run(append([]string{"validate", "-s", "a"}, strings.Fields(args)...)...); got != exitUsage || !strings.Contains(l.log.String(), want) {
			t.Errorf("%s: exit %d: %s", args, got, l.log.String())
		}
	}
}

// TestAStandInIsMeasured runs both commands, one before the other.
func TestAStandInIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("waits")
	}
	cert, key, ca := pem(t)
	for _, c := range []struct {
		name, stands, looks string
		balancer            []string // what stands before it; nil: nothing
		want                []string
	}{
		{"plain", "", "", nil, []string{"each from the very address and port it left here with"}},
		{"by another name", "", "--connection-name my-tester", nil, []string{"each from the very address and port it left here with"}},
		{"with TLS through a balancer that passes it through", "--tlscert " + cert + " --tlskey " + key, "--tlsca " + ca, []string{}, []string{"none from the address and port", "passed through to the server"}},
		{"with TLS first", "--tlsfirst --tlscert " + cert + " --tlskey " + key, "--tlsfirst --tlsca " + ca, []string{}, []string{"none from the address and port", "before the first line"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			heard, says := io.Pipe()
			ctx, cancel := context.WithCancel(context.Background())
			var standing sync.WaitGroup
			standing.Go(func() {
				p := program{args: append([]string{"backend", "--listen", "127.0.0.1:0"}, strings.Fields(c.stands)...), out: io.Discard, err: says, getenv: func(string) string { return "" }}
				if got := p.main(ctx); got != 0 {
					t.Errorf("the stand-in exits with %d", got)
				}
				says.Close()
			})
			defer standing.Wait()
			defer cancel()
			line, err := bufio.NewReader(heard).ReadString('\n')
			addr, ok := strings.CutPrefix(strings.TrimSpace(line), "lbtest: standing in at ")
			if err != nil || !ok {
				t.Fatalf("%q, %v", line, err)
			}
			go func() { _, _ = io.Copy(io.Discard, heard) }()
			if c.balancer != nil {
				addr = through(t, addr)
			}
			var out, log bytes.Buffer
			p := program{args: append([]string{"validate", "-s", addr, "--backend", "--max-wait", "2s", "--quiet"}, strings.Fields(c.looks)...), out: &out, err: &log,
				getenv: func(string) string { return "" }, endpoint: func(o suite.EndpointOptions) (plan, error) { return suite.NewEndpointPlan(o) }}
			if got := p.main(context.Background()); got != 0 {
				t.Errorf("exit %d: %s", got, log.String())
			}
			text := strings.Join(strings.Fields(out.String()), " ")
			for _, want := range append([]string{"lbtest-backend-1", "idle limit none up to 2", "behind it", "PROXY header none"}, c.want...) {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
	for args, want := range map[string]string{"": "Give --listen", "--listen nonsense": "listening at nonsense", "x": "takes no argument",
		"--listen :0 --tlscert a": "go together", "--listen :0 --tlskey a": "go together", "--listen :0 --tlsfirst": "--tlsfirst takes a certificate",
		"--listen :0 --tlscert no.pem --tlskey no.key": "reading --tlscert and --tlskey: open no.pem"} {
		l := lab{}
		if got := l.run(append([]string{"backend"}, strings.Fields(args)...)...); got != exitUsage || !strings.Contains(l.log.String(), want) {
			t.Errorf("%s: exit %d: %s", args, got, l.log.String())
		}
	}
}

// through is the address of a balancer that does nothing before another.
func through(t *testing.T, addr string) string {
	t.Helper()
	b, err := proxies.Listen(proxies.Direct(), []proxies.Front{{Name: "vip"}}, func(proxies.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if err := b.Serve(map[string][]proxies.Backend{"vip": {{Name: "a", Addr: addr}}}); err != nil {
		t.Fatal(err)
	}
	return b.Addr("vip")
}

// pem writes a certificate for the loopback that has just been made, its key, and who believes in it: itself.
func pem(t *testing.T) (cert, key, ca string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lbtest"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	signed, err := x509.CreateCertificate(rand.Reader, made, made, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*encoding.Block{cert: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, encoding.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, cert
}

// banners says something to whoever connects.
func banners(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, text)
			c.Close()
		}
	})
	return l.Addr().String()
}
