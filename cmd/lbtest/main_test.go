package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
	"github.com/lbtest/lbtest/topologies"
)

func TestMain(m *testing.M) {
	takePart()
	goleak.VerifyTestMain(m)
}

// fakePlan answers with a report, or does what run says.
type fakePlan struct {
	report report.Report
	sweep  bool
	run    func(ctx context.Context, say func(suite.Progress)) report.Report
}

func (f fakePlan) Sweep() bool         { return f.sweep }
func (f fakePlan) Scenarios() []string { return []string{"a"} }
func (f fakePlan) Run(ctx context.Context, say func(suite.Progress)) report.Report {
	if f.run != nil {
		return f.run(ctx, say)
	}
	return f.report
}

// fakeRuntime starts nothing and says whether it was closed.
type fakeRuntime struct {
	topologies.Runtime
	name     string
	unusable error
	keep     bool
	closed   bool
	err      error
}

func (f *fakeRuntime) Close() error                 { f.closed = true; return f.err }
func (f *fakeRuntime) Usable(context.Context) error { return f.unusable }

// lab is one run of the program without a lab.
type lab struct {
	plan    fakePlan
	err     error // of making the plan
	env     map[string]string
	options *suite.Options // what the plan was asked for
	looked  *suite.EndpointOptions
	cells   *suite.MatrixOptions
	runtime *fakeRuntime
	tidy    map[string]*tidyRuntime // in its place, by name
	closing error

	unusable error // the runtime
	exit     func(int)
	out      bytes.Buffer
	log      bytes.Buffer
	stdout   io.Writer
}

func (l *lab) run(args ...string) int {
	var out io.Writer = &l.out
	if l.stdout != nil {
		out = l.stdout
	}
	p := program{
		args: args, out: out, err: &l.log, exit: l.exit,
		getenv: func(k string) string { return l.env[k] },
		runtime: func(name string, o nodeOptions, _ *slog.Logger) topologies.Runtime {
			if r, ok := l.tidy[name]; ok {
				return r
			}
			l.runtime = &fakeRuntime{name: name, keep: o.keep, err: l.closing, unusable: l.unusable}
			return l.runtime
		},
		plan: func(o suite.Options) (plan, error) {
			l.options = &o
			return l.plan, l.err
		},
		endpoint: func(o suite.EndpointOptions) (plan, error) {
			l.looked = &o
			return l.plan, l.err
		},
		matrix: func(o suite.MatrixOptions) (matrixPlan, error) {
			l.cells = &o
			return fakeCells{l.plan}, l.err
		},
	}
	return p.main(context.Background())
}

func reportOf(verdicts ...assertions.Verdict) report.Report {
	var scenarios []report.Scenario
	for i, v := range verdicts {
		scenarios = append(scenarios, report.Scenario{Name: "t/" + string(rune('a'+i)), Topology: "t", Verdict: v, Reason: "for a test"})
	}
	return report.New(report.Run{}, scenarios, nil)
}

func TestBadUsageExitsWith2AndSaysWhatWasMeant(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args string
		want []string
	}{
		{"", []string{"--topology is missing", "routes-behind-lb"}},
		{"run", []string{"--topology is missing", "routes-behind-lb"}},
		{"run --set stall=1s", []string{"--topology is missing", "routes-behind-lb"}},
		{"validate nats://u:hidden@x:4222", []string{"takes no argument: the address goes after -s"}},
		{"validate -s nats://x --fail-on unsave", []string{`--fail-on: unknown verdict "unsave", did you mean unsafe?`}},
		{"validate -s nats://x --timeout 5", []string{`--timeout "5": want a duration with its unit`}},
		{"validate -s nats://x --tlscrt a", []string{`unknown flag "--tlscrt", did you mean --tlscert`}},
		{"validate -s nats://x --topology routes-behind-lb", []string{`unknown flag "--topology"`}},
		{"validate -s nats://x --report json", []string{`--report "json": want FORMAT=PATH`}},
		{"search", []string{`unknown command "search"`}},
		{"lst", []string{`unknown command "lst", did you mean list?`}},
		{"--topology routes-behind-lb extra", []string{`unknown command "extra"`}},
		{"run x", []string{`lbtest run takes no argument, "x" was given`}},
		{"--topolgy x", []string{`unknown flag "--topolgy", did you mean --topology?`, "--set"}},
		{"--topology routes-behind-lb --nats-image nats:2.14", []string{"--nats-image nats:2.14", "embedded", "add --runtime docker"}},
		{"--topology routes-behind-lb --runtime dcoker", []string{`--runtime: unknown runtime "dcoker"`, "did you mean docker", "embedded"}},
		{"--topology routes-behind-lb --profil aws-nlb", []string{`unknown flag "--profil", did you mean --profile?`}},
		{"--version", []string{`unknown flag "--version", did you mean the command lbtest version?`}},
		{"--topology routes-behind-lb -v", []string{`unknown flag "-v"`}},
		{"--topology route-behind-lb", []string{`unknown topology "route-behind-lb", did you mean routes-behind-lb`}},
		{"--topology", []string{"--topology needs a value, --topology NAME"}},
		{"--topology routes-behind-lb --seed y", []string{`--seed "y": want a whole number`}},
		{"--topology routes-behind-lb --run-timeout 90", []string{`--run-timeout "90": want a duration with its unit, as in 90s`}},
		{"--topology routes-behind-lb --verbose=maybe", []string{`--verbose "maybe": want true or false`}},
		{"--topology routes-behind-lb --fail-on unsave", []string{`--fail-on: unknown verdict "unsave", did you mean unsafe?`, "unsafe, risky, never"}},
		{"--topology routes-behind-lb --report json", []string{`--report "json": want FORMAT=PATH`}},
		{"--topology routes-behind-lb --report jsn=x", []string{`unknown format "jsn", did you mean json`}},
		{"--topology routes-behind-lb --json --report text=-", []string{"--report json=- and text=- go to the same place"}},
		{"--topology routes-behind-lb --report json=a --report text=./a", []string{"--report json=a and text=./a go to the same place"}},
		{"--topology routes-behind-lb --report json=" + dir, []string{"this is a directory"}},
		{"--topology routes-behind-lb --report json=" + filepath.Join(dir, "no/such/r.json"), []string{"its directory:", "no such file"}},
		{"list", []string{"topologies, settings, profiles, assertions, limits, sweeps, formats, runtimes"}},
		{"list profile", []string{`unknown list "profile", did you mean profiles?`, "topologies, settings"}},
		{"list settings formats", []string{`"settings formats" was given`}},
		{"list settings --jsn", []string{`unknown flag "--jsn", did you mean --json?`}},
		{"--topology routes-behind-lb --sweep bandwith", []string{`--sweep: unknown sweep "bandwith", did you mean bandwidth?`, "settings, bandwidth"}},
		{"explain", []string{"explain needs a name"}},
		{"explain idle-timout", []string{`unknown name "idle-timout", did you mean idle-timeout?`}},
		{"explain a b", []string{`explain takes one name, "a b" was given`}},
		{"completion", []string{"bash, zsh, fish, powershell"}},
		{"completion csh", []string{`unknown shell "csh"`}},
		{"version 1", []string{"takes no argument"}},
		{"schema v1", []string{`unknown schema "v1"`, "report, profile"}},
		{"schema profile report", []string{`schema takes one of report, profile, matrix, "profile report" was given`}},
		{"report", []string{"report takes one file", "0 were given"}},
		{"report a b", []string{"report takes one file", "2 were given"}},
		{"report " + filepath.Join(dir, "none.json"), []string{"none.json: no such file"}},
		{"report " + dir, []string{"is a directory"}},
		{"report main_test.go", []string{"main_test.go: reading the report: not JSON at byte"}},
		{"report x.json --topology routes-behind-lb", []string{`unknown flag "--topology"`}},
		{"report x.json --fail-on unsave", []string{`--fail-on: unknown verdict "unsave", did you mean unsafe?`}},
		{"--topology routes-behind-lb --artifacts main_test.go", []string{"--artifacts main_test.go: making the directory:"}},
		{"--topology routes-behind-lb --report json=" + dir + "/r.json --artifacts " + dir + "/r.json/x --report jsno=x", []string{`unknown format "jsno", did you mean json`}},
		{"explain no-such.yaml", []string{"no-such.yaml: no such file"}},
		{"explain aws-nlb", []string{`unknown name "aws-nlb", did you mean aws-alb or aws-nlb-tcp`}},
	} {
		t.Run(c.args, func(t *testing.T) {
			var l lab
			if got := l.run(strings.Fields(c.args)...); got != exitUsage {
				t.Errorf("exit %d, want %d", got, exitUsage)
			}
			for _, want := range c.want {
				if !strings.Contains(l.log.String(), want) {
					t.Errorf("stderr is %q, want something with %q", l.log.String(), want)
				}
			}
			if l.out.Len() > 0 {
				t.Errorf("stdout has %q", l.out.String())
			}
			if strings.Contains(l.log.String(), "hidden") {
				t.Errorf("a password is repeated: %s", l.log.String())
			}
			if l.options != nil || l.runtime != nil || l.looked != nil {
				t.Error("a plan was made")
			}
		})
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("bad usage left %v", left)
	}
}

// TestTheWholeProgramRefusesBadUsage leaves nothing out of the program but its process.
func TestTheWholeProgramRefusesBadUsage(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	const lab = "--topology routes-behind-lb "
	for _, c := range []struct {
		name, args string
		want       []string
	}{
		{"no topology", "", []string{"--topology", "routes-behind-lb"}},
		{"no topology, but a command", "run --json", []string{"--topology", "routes-behind-lb"}},
		{"unknown topology", "--topology route-behind-lb", []string{`"route-behind-lb"`, "did you mean routes-behind-lb"}},
		{"unknown setting", lab + "--set idle-timout=60s", []string{`"idle-timout"`, "did you mean idle-timeout", "max-lifetime"}},
		{"no such fate", lab + "--set node-fault=kil", []string{"node-fault=kil", "did you mean kill"}},
		{"no unit", lab + "--set idle-timeout=60", []string{"idle-timeout=60", "60s?"}},
		{"no duration", lab + "--set stall=long", []string{"stall=long", "60s"}},
		{"none by another word", lab + "--set idle-timeout=off", []string{"idle-timeout=none"}},
		{"unknown word", lab + "--set idle-timeout=60s --set idle-expiry=rest", []string{"idle-expiry=rest", "did you mean rst", "silent"}},
		{"no value", lab + "--set stall", []string{`"stall"`, "SETTING=VALUE"}},
		{"a setting twice", lab + "--set idle-timeout=5s --set idle-timeout=6s", []string{"idle-timeout", "twice", "5s", "6s"}},
		{"a topology twice", lab + lab, []string{"routes-behind-lb", "twice"}},
		{"a combination without effect", lab + "--set idle-expiry=rst", []string{"idle-expiry=rst", "add one", "idle-timeout=60s"}},
		{"another one", lab + "--set idle-timeout=none --set idle-keepalive=counts", []string{"idle-keepalive=counts", "idle-timeout=60s"}},
		{"unknown flag", lab + "--sett stall=1s", []string{`"--sett"`, "did you mean --set"}},
		{"unknown runtime", lab + "--runtime podman", []string{`"podman"`, "embedded, docker"}},
		{"an unknown profile", lab + "--profile aws-nlb", []string{`unknown profile "aws-nlb"`, "did you mean", "aws-nlb-tcp"}},
		{"a profile twice", lab + "--profile aws-alb --profile aws-alb", []string{"--profile aws-alb", "twice"}},
		{"a profile that is not there", lab + "--profile ./no-such.yaml", []string{"no-such.yaml", "no such file"}},
		{"unknown command", "lst topologies", []string{`"lst"`, "did you mean list"}},
		{"a command of later", "search --find ping_interval", []string{`"search"`, "run"}},
		{"an argument too many", "run x", []string{`"x"`}},
		{"unknown key of the server", lab + "--nats cluster.ping_intervall=2s", []string{"ping_intervall", "did you mean cluster.ping_interval"}},
		{"a wrong value for the server", lab + "--nats cluster.ping_interval=soon", []string{"cluster.ping_interval=soon", "duration"}},
		{"no value for the server", lab + "--nats cluster.ping_interval", []string{"KEY=VALUE", "cluster.ping_interval"}},
		{"a key of the server twice", lab + "--nats ping_interval=5s --nats ping_interval=6s", []string{"ping_interval", "already"}},
		{"no such group of servers", lab + "--nats hub:debug=true", []string{`"hub"`, "lab"}},
		{"unknown key of the clients", lab + "--client ping=3s", []string{"--client ping", "ping-interval"}},
		{"a wrong value for the clients", lab + "--client timeout=soon", []string{"timeout=soon", "30s"}},
		{"no value for the clients", lab + "--client timeout", []string{`"timeout"`, "KEY=VALUE"}},
		{"a pattern that selects nothing", lab + "--assert stream/*", []string{`"stream/*"`, "selects nothing", "jetstream/quorum-holds"}},
		{"one pattern of two", lab + "--assert jetstream/* --assert x", []string{`"x"`, "selects nothing"}},
		{"a factor below 1", lab + "--time-scale 0.5", []string{`"0.5"`, "from 1 up"}},
		{"no factor", lab + "--time-scale abc", []string{`"abc"`, "auto"}},
		{"a negative timeout", lab + "--run-timeout -1s", []string{"--run-timeout -1s"}},
		{"a negative number of labs", lab + "--parallel -1", []string{"--parallel -1"}},
		{"no seed", lab + "--seed x", []string{`--seed "x"`, "number"}},
		{"a place that is not there", lab + "--report json=" + filepath.Join(tmp, "no", "r.json"), []string{"json=" + tmp, "no such file"}},
		{"a directory for a file", lab + "--report json=" + tmp, []string{"directory"}},
		{"unknown format", lab + "--report yaml=r", []string{`"yaml"`, "html, json, jsonl"}},
		{"no place", lab + "--report json", []string{"FORMAT=PATH"}},
		{"two for one place", lab + "--json --report text=-", []string{"same place"}},
		{"unknown verdict", lab + "--fail-on bad", []string{`"bad"`, "unsafe, risky, never"}},
		{"unknown list", "list setting", []string{`"setting"`, "did you mean settings"}},
		{"nothing to explain", "explain", []string{"lbtest list"}},
		{"unknown name", "explain idle-timout", []string{`"idle-timout"`, "did you mean idle-timeout"}},
		{"unknown shell", "completion sh", []string{`"sh"`, "bash"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := whole()
			var out, log bytes.Buffer
			p.args, p.out, p.err = strings.Fields(c.args), &out, &log
			if got := p.main(t.Context()); got != exitUsage {
				t.Errorf("exit %d, want %d", got, exitUsage)
			}
			for _, want := range c.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("stderr is %q, want something with %q", log.String(), want)
				}
			}
			if !strings.HasPrefix(log.String(), "lbtest: ") || out.Len() > 0 {
				t.Errorf("stdout is %q, stderr %q", out.String(), log.String())
			}
		})
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("something was started: %v", left)
	}
}

func TestALongListDoesNotBuryWhatWasMeant(t *testing.T) {
	for _, args := range []string{"explain idle-timout", "explain nosuchthingatall"} {
		var l lab
		if l.run(strings.Fields(args)...); len(l.log.String()) > 200 {
			t.Errorf("%s: %s", args, l.log.String())
		}
	}
}

func TestWhatThePlanRefusesIsBadUsage(t *testing.T) {
	l := lab{err: errors.New(`unknown setting "idle"`)}
	if got := l.run("--topology", "routes-behind-lb", "--set", "idle=1s"); got != exitUsage {
		t.Errorf("exit %d, want %d", got, exitUsage)
	}
	if got := l.log.String(); got != "lbtest: unknown setting \"idle\"\n" {
		t.Errorf("stderr is %q", got)
	}
	if !l.runtime.closed {
		t.Error("the runtime was not closed")
	}
}

func TestFlagsBecomeOptions(t *testing.T) {
	all := strings.Fields("run --topology routes-behind-lb --topology=routes-behind-lb --set idle-timeout=5s --set idle-expiry=rst --nats cluster.ping_interval=2s,x " +
		"--client ping-interval=off --clients 250 --time-scale 4 --assert jetstream/* --assert routes/* --seed 7 --run-timeout 90s --parallel 3 " +
		"--verify-advice --keep --quiet --no-color")
	for _, c := range []struct {
		name string
		args []string
		keep bool
		want suite.Options
	}{
		{"the bare program runs", []string{"--topology", "routes-behind-lb"}, false,
			suite.Options{Topologies: []string{"routes-behind-lb"}, Clients: 100, TimeScale: "auto"}},
		{"flags may stand before the command", []string{"--topology", "routes-behind-lb", "run"}, false,
			suite.Options{Topologies: []string{"routes-behind-lb"}, Clients: 100, TimeScale: "auto"}},
		{"all flags", all, true,
			suite.Options{Topologies: []string{"routes-behind-lb", "routes-behind-lb"}, Set: []string{"idle-timeout=5s", "idle-expiry=rst"},
				Nats: []string{"cluster.ping_interval=2s,x"}, Client: []string{"ping-interval=off"},
				Clients: 250, Assert: []string{"jetstream/*", "routes/*"}, TimeScale: "4", Seed: 7, RunTimeout: 90 * time.Second,
				Parallel: 3, VerifyAdvice: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lab{plan: fakePlan{report: reportOf(assertions.Safe)}}
			if got := l.run(c.args...); got != 0 {
				t.Fatalf("exit %d: %s", got, l.log.String())
			}
			c.want.Command = append([]string{"lbtest"}, c.args...)
			if d := cmp.Diff(*l.options, c.want, cmpopts.IgnoreFields(suite.Options{}, "Runtime", "Versions")); d != "" {
				t.Errorf("options differ, got -, want +:\n%s", d)
			}
			if l.options.Runtime != topologies.Runtime(l.runtime) || l.options.Versions.LBTest == "" {
				t.Errorf("log, runtime or version are missing in %+v", l.options)
			}
			if l.runtime.keep != c.keep || !l.runtime.closed {
				t.Errorf("the runtime keeps: %v, is closed: %v", l.runtime.keep, l.runtime.closed)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		plan fakePlan
		args string
		want int
	}{
		{"a safe balancer", fakePlan{report: reportOf(assertions.Safe)}, "", 0},
		{"an unsafe one", fakePlan{report: reportOf(assertions.Unsafe)}, "", 1},
		{"a risky one", fakePlan{report: reportOf(assertions.Risky)}, "", 0},
		{"a risky one, objected to", fakePlan{report: reportOf(assertions.Risky)}, "--fail-on risky", 1},
		{"an unsafe one, only asked about", fakePlan{report: reportOf(assertions.Unsafe)}, "--fail-on never", 0},
		{"a sweep that finds unsafe settings", fakePlan{report: reportOf(assertions.Safe, assertions.Unsafe), sweep: true}, "", 0},
		{"a sweep that must not", fakePlan{report: reportOf(assertions.Safe, assertions.Unsafe), sweep: true}, "--fail-on unsafe", 1},
		{"a sweep with errors", fakePlan{report: reportOf(assertions.Safe, assertions.Errored), sweep: true}, "", 3},
		{"nothing judged", fakePlan{report: reportOf(assertions.Skipped)}, "", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lab{plan: c.plan}
			if got := l.run(append([]string{"--topology", "routes-behind-lb"}, strings.Fields(c.args)...)...); got != c.want {
				t.Errorf("exit %d, want %d", got, c.want)
			}
		})
	}
}

func TestTroubleOfOurOwnExitsWith3UnlessSomethingWasUnsafe(t *testing.T) {
	for v, want := range map[assertions.Verdict]int{assertions.Safe: 3, assertions.Unsafe: 1} {
		l := lab{plan: fakePlan{report: reportOf(v)}, closing: errors.New("directory busy")}
		if got := l.run("--topology", "routes-behind-lb"); got != want {
			t.Errorf("%s: exit %d, want %d", v, got, want)
		}
		if !strings.Contains(l.log.String(), "clearing away what the nodes left: directory busy") {
			t.Errorf("%s: stderr is %q", v, l.log.String())
		}
		if l.out.Len() == 0 {
			t.Errorf("%s: the report is missing", v)
		}
	}
	l := lab{plan: fakePlan{report: reportOf(assertions.Safe)}, stdout: broken{}}
	if got := l.run("--topology", "routes-behind-lb"); got != 3 || !strings.Contains(l.log.String(), "no space left") {
		t.Errorf("exit %d, stderr %q", got, l.log.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestStdoutIsTheReport(t *testing.T) {
	dir := t.TempDir()
	say := func(_ context.Context, say func(suite.Progress)) report.Report {
		say(suite.Progress{Kind: "finished", Scenario: "t/a", Verdict: assertions.Safe, Done: 1, Total: 1})
		return reportOf(assertions.Safe)
	}
	file := filepath.Join(dir, "r.json")
	for _, c := range []struct {
		args       string
		text, json bool // on stdout
		progress   bool
	}{
		{"", true, false, true},
		{"--quiet", true, false, false},
		{"--json", false, true, true},
		{"--report json=-", false, true, true},
		{"--report text=-", true, false, true},
		{"--report json=" + file, true, false, true},
		{"--json --report text=" + filepath.Join(dir, "r.txt"), false, true, true},
	} {
		l := lab{plan: fakePlan{run: say}}
		if got := l.run(append([]string{"--topology", "routes-behind-lb"}, strings.Fields(c.args)...)...); got != 0 {
			t.Fatalf("%s: exit %d: %s", c.args, got, l.log.String())
		}
		if got := strings.Contains(l.out.String(), "SAFE  1 scenario"); got != c.text {
			t.Errorf("%s: stdout has text: %v, want %v", c.args, got, c.text)
		}
		if got := json.Valid(l.out.Bytes()); got != c.json {
			t.Errorf("%s: stdout is JSON: %v, want %v", c.args, got, c.json)
		}
		if got := strings.Contains(l.log.String(), "t/a"); got != c.progress {
			t.Errorf("%s: stderr has progress: %v, want %v", c.args, got, c.progress)
		}
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := report.Read(f); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("the directory has %v, want two reports", left)
	}
}

func TestAnInterruptedRunStillReports(t *testing.T) {
	l := lab{plan: fakePlan{run: func(ctx context.Context, say func(suite.Progress)) report.Report {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		if got := context.Cause(ctx); got != errInterrupted {
			t.Errorf("the cause is %v", got)
		}
		say(suite.Progress{Kind: "finished", Scenario: "t/measured", Verdict: assertions.Unsafe, Total: 2})
		say(suite.Progress{Kind: "finished", Scenario: "t/undone", Verdict: assertions.Errored, Total: 2})
		return reportOf(assertions.Unsafe)
	}}}
	if got := l.run("--topology", "routes-behind-lb"); got != exitInterrupted {
		t.Errorf("exit %d, want %d", got, exitInterrupted)
	}
	if got := l.log.String(); !strings.Contains(got, "t/measured") || strings.Contains(got, "t/undone") {
		t.Errorf("stderr should name what was measured, and not what was not:\n%s", got)
	}
	for in, want := range map[string]string{l.log.String(): "interrupted", l.out.String(): "The run was interrupted"} {
		if !strings.Contains(in, want) {
			t.Errorf("%q lacks %q", in, want)
		}
	}
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	exited := make(chan int, 1)
	l := lab{exit: func(code int) { exited <- code }}
	l.plan.run = func(ctx context.Context, _ func(suite.Progress)) report.Report {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if got := <-exited; got != exitInterrupted {
			t.Errorf("exit %d, want %d", got, exitInterrupted)
		}
		return reportOf(assertions.Safe)
	}
	l.run("--topology", "routes-behind-lb")
}
