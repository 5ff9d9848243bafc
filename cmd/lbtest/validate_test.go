package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
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
)

func TestFlagsAndEnvironmentBecomeAccess(t *testing.T) {
	env := map[string]string{"NATS_URL": "env", "NATS_CONTEXT": "env", "NATS_USER": "env", "NATS_PASSWORD": "env", "NATS_TOKEN": "env", "NATS_CREDS": "env",
		"NATS_NKEY": "env", "NATS_CERT": "env", "NATS_KEY": "env", "NATS_CA": "env", "NATS_JWT": "env", "NATS_SEED": "env", "NATS_TIMEOUT": "7s"}
	for _, c := range []struct {
		name, args string
		env        map[string]string
		want       assertions.Access
	}{
		{"flags", "-s a --context b --user c --password d --token e --creds f --nkey g --jwt l --seed m --direct n --tlscert h --tlskey i --tlsca j --tlsfirst --timeout 3s --inbox-prefix k", nil,
			assertions.Access{Servers: "a", JWT: "l", Seed: "m", Direct: "n", Context: "b", User: "c", Password: "d", Token: "e", Creds: "f", Nkey: "g", Cert: "h", Key: "i", CA: "j", TLSFirst: true,
				Timeout: 3 * time.Second, InboxPrefix: "k"}},
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
	var log bytes.Buffer
	heard, says := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	var standing sync.WaitGroup
	standing.Go(func() {
		p := program{args: []string{"backend", "--listen", "127.0.0.1:0"}, out: &log, err: says, getenv: func(string) string { return "" }}
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
	var out bytes.Buffer
	p := program{args: []string{"validate", "-s", addr, "--backend", "--max-wait", "2s", "--quiet"}, out: &out, err: &log, getenv: func(string) string { return "" },
		endpoint: func(o suite.EndpointOptions) (plan, error) { return suite.NewEndpointPlan(o) }}
	if got := p.main(context.Background()); got != 0 {
		t.Errorf("exit %d", got)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"lbtest-backend-1", "idle limit none up to 2", "behind it", "each from the very address and port it left here with", "PROXY header none"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for args, want := range map[string]string{"": "Give --listen", "--listen nonsense": "listening at nonsense", "x": "takes no argument"} {
		l := lab{}
		if got := l.run(append([]string{"backend"}, strings.Fields(args)...)...); got != exitUsage || !strings.Contains(l.log.String(), want) {
			t.Errorf("%s: exit %d: %s", args, got, l.log.String())
		}
	}
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
