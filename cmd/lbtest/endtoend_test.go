package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// The tests of this file run the program itself, built once, as its users do.

// user runs the program with a directory for temporary files that nobody else has, by which everything of a
// run can be told from what goes on beside it.
type user struct{ program, tmp string }

// heard is what a user has of a run that is over.
type heard struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

func (u user) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, u.program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+u.tmp, "NO_COLOR=1")
	return cmd
}

// run runs the program to its end, which must come within the limit.
func (u user) run(t *testing.T, limit time.Duration, args ...string) heard {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := u.command(ctx, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	began := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("lbtest %s did not end within %v: %v\n%s", strings.Join(args, " "), limit, err, log.String())
	}
	return heard{cmd.ProcessState.ExitCode(), out.String(), log.String(), time.Since(began)}
}

// running is a run under way.
type running struct {
	cmd *exec.Cmd
	out bytes.Buffer
	log spokenLog
}

func (u user) start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{cmd: u.command(t.Context(), args...), log: spokenLog{verdict: make(chan struct{})}}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// spokenLog is the stderr of a run, and tells when the first verdict stands in it.
type spokenLog struct {
	mu      sync.Mutex
	text    strings.Builder
	verdict chan struct{}
	spoken  bool
}

var aVerdict = regexp.MustCompile(`(?m)^\[ *[\d.]+s\] (safe|RISKY|UNSAFE) `)

func (l *spokenLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if !l.spoken && aVerdict.MatchString(l.text.String()) {
		l.spoken = true
		close(l.verdict)
	}
	return len(b), nil
}

func (l *spokenLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// signalled sends a signal to the run, waits for its end and says when it was sent. A run that takes longer
// than promised to end is killed.
func (r *running) signalled(t *testing.T, s syscall.Signal) (at time.Time) {
	t.Helper()
	at = time.Now()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(promised, func() { r.cmd.Process.Kill() })
	r.cmd.Wait()
	if !late.Stop() {
		t.Errorf("%v after %v the run had not ended:\n%s", promised, s, r.log.String())
	}
	return at
}

// promised is how soon after its end nothing of a run is left.
const promised = 5 * time.Second

// nothingLeft fails unless processes, directories and listening ports of the user's runs are gone that soon
// after a moment.
func (u user) nothingLeft(t *testing.T, since time.Time, sockets []string) {
	t.Helper()
	for {
		left := u.left(t, sockets)
		if len(left) == 0 {
			t.Logf("nothing was left within %v", time.Since(since).Round(10*time.Millisecond))
			return
		}
		if time.Since(since) > promised {
			t.Errorf("%v later there is still %s", promised, strings.Join(left, ", "))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (u user) left(t *testing.T, sockets []string) (what []string) {
	t.Helper()
	for _, pid := range u.processes(t) {
		what = append(what, "process "+pid)
	}
	dirs, err := os.ReadDir(u.tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		what = append(what, "directory "+d.Name())
	}
	for _, s := range listening(t) {
		if slices.Contains(sockets, s) {
			what = append(what, "a listening port, socket "+s)
		}
	}
	return what
}

// processes are those that run with the user's directory for temporary files: the program, its nodes, its
// cleaner. Where there is no /proc there is nothing to be found.
func (u user) processes(t *testing.T) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		// A process may be gone by now, and one that has only not been waited for has no environment.
		env, err := os.ReadFile(path)
		if err == nil && bytes.Contains(env, []byte("\x00TMPDIR="+u.tmp+"\x00")) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// sockets are the listening sockets of the user's processes.
func (u user) sockets(t *testing.T) (found []string) {
	t.Helper()
	open := listening(t)
	for _, pid := range u.processes(t) {
		files, _ := filepath.Glob("/proc/" + pid + "/fd/*")
		for _, f := range files {
			to, _ := os.Readlink(f)
			if inode, ok := strings.CutPrefix(to, "socket:["); ok && slices.Contains(open, strings.TrimSuffix(inode, "]")) {
				found = append(found, strings.TrimSuffix(inode, "]"))
			}
		}
	}
	return found
}

// listening lists the inodes of all listening TCP sockets of the machine. A port's number would not do:
// the next program may be given it.
func listening(t *testing.T) (inodes []string) {
	t.Helper()
	const state, inode, listens = 3, 9, "0A" // proc_pid_net_tcp: the columns, and TCP_LISTEN
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > inode && f[state] == listens {
				inodes = append(inodes, f[inode])
			}
		}
	}
	return inodes
}

// checked reads a report as a program would: it must be the one JSON document there is, and what the schema
// that the program prints says it is.
func (u user) checked(t *testing.T, text string) report.Report {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(u.run(t, time.Minute, "schema").stdout))
	if err != nil {
		t.Fatalf("the schema: %v", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("report.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("stdout is not one JSON document: %v\n%s", err, text)
	}
	if err := compiled.Validate(doc); err != nil {
		t.Errorf("the report is not what the schema says: %v", err)
	}
	r, err := report.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// explained fails unless each scenario that was not judged says why, in these words.
func explained(t *testing.T, r report.Report, why string) (judged int) {
	t.Helper()
	for _, s := range r.Scenarios {
		switch {
		case s.Verdict != assertions.Errored, strings.Contains(s.Reason, "too busy to tell"): // the latter is an answer, too
			judged++
		case !strings.Contains(s.Reason, why):
			t.Errorf("%s is errored because %q, want something with %q", s.Name, s.Reason, why)
		}
	}
	return judged
}

func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the program")
	}
	program := filepath.Join(t.TempDir(), "lbtest")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	someone := func(t *testing.T) user { return user{program, t.TempDir()} }

	t.Run("bad usage", func(t *testing.T) { badUsage(t, someone(t)) })
	t.Run("without an engine nothing begins", func(t *testing.T) { withoutAnEngine(t, someone(t)) })
	t.Run("what can be asked without a lab", func(t *testing.T) { asked(t, someone(t)) })
	t.Run("a balancer on its own", func(t *testing.T) {
		for name, test := range alone {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				u := someone(t)
				t.Cleanup(func() { u.nothingLeft(t, time.Now(), nil) }) // after those of the test
				test(t, u)
			})
		}
	})
	// No verdict hangs on how busy the machine is here.
	t.Run("ended early", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, user){
			"by SIGINT after the first verdict": func(t *testing.T, u user) { interrupted(t, u, syscall.SIGINT, true) },
			"by SIGTERM in the middle":          func(t *testing.T, u user) { interrupted(t, u, syscall.SIGTERM, false) },
			"by SIGKILL in the middle":          killed,
			"by its run timeout":                timedOut,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, someone(t))
			})
		}
	})
	t.Run("two at once", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, user){
			"a stall of a second is safe":                  stalled,
			"an idle timeout below the pings is not":       idled,
			"kept directories":                             kept,
			"nobody reads":                                 unread,
			"an idle timeout above configured pings is ok": pinged,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				u := someone(t)
				test(t, u)
				u.nothingLeft(t, time.Now(), nil)
			})
		}
	})
}

// sweep is the question without an answer for minutes, so that there is a middle to end it in.
// Other tests want the processors, too, so fewer labs than usual are side by side.
var sweep = []string{"--topology", "routes-behind-lb", "--parallel", "6", "--json"}

// middle is when a sweep has labs in every state: some forming, some under way.
const middle = 6 * time.Second

func interrupted(t *testing.T, u user, by syscall.Signal, spoken bool, more ...string) {
	r := u.start(t, append(slices.Clone(sweep), more...)...)
	var early <-chan struct{}
	if spoken {
		early = r.log.verdict
	}
	limit := middle
	if spoken {
		limit = time.Minute // the first verdict is due after 20 s on a machine that has nothing else to do
	}
	select {
	case <-early:
	case <-time.After(limit):
	}
	ports := u.sockets(t)
	at := r.signalled(t, by)
	if got := r.cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("exit %d, want 130", got)
	}
	u.nothingLeft(t, at, ports)
	if len(ports) == 0 && len(listening(t)) > 0 {
		t.Error("no lab was under way")
	}
	said := u.checked(t, r.out.String())
	if !said.Run.Interrupted {
		t.Error("the report does not say that the run was interrupted")
	}
	if judged := explained(t, said, "interrupted"); spoken && judged == 0 {
		t.Errorf("the verdict that was there is not in the report; stderr:\n%s", r.log.String())
	}
}

func killed(t *testing.T, u user) {
	r := u.start(t, append(slices.Clone(sweep), "--parallel", "6")...)
	time.Sleep(middle)
	ports := u.sockets(t)
	at := r.signalled(t, syscall.SIGKILL)
	u.nothingLeft(t, at, ports)
}

func timedOut(t *testing.T, u user) {
	got := u.run(t, time.Minute, append(slices.Clone(sweep), "--run-timeout", "5s")...)
	u.nothingLeft(t, time.Now(), nil)
	if got.took > 5*time.Second+promised {
		t.Errorf("it took %v", got.took)
	}
	said := u.checked(t, got.stdout)
	explained(t, said, "the run timeout of 5s was over")
	if said.Run.Interrupted || got.code != 3 {
		t.Errorf("exit %d, interrupted %v; want 3, since nothing errored is an answer", got.code, said.Run.Interrupted)
	}
}

func stalled(t *testing.T, u user) {
	got := u.run(t, time.Minute, "--topology", "routes-behind-lb", "--set", "stall=1s", "--json")
	r := u.checked(t, got.stdout)
	if got.code != 0 || r.Verdict != assertions.Safe || len(r.Scenarios) != 1 {
		t.Errorf("exit %d, %s, %d scenarios, want a safe one\n%s%s", got.code, r.Verdict, len(r.Scenarios), got.stderr, got.stdout)
	}
	for _, result := range r.Results {
		if !result.FaultProved {
			t.Errorf("%s was judged without the proof of a stall", result.Assertion)
		}
	}
}

func idled(t *testing.T, u user) {
	dir := t.TempDir()
	got := u.run(t, time.Minute, "--topology", "routes-behind-lb", "--set", "idle-timeout=5s", "--assert", "core/no-loss-when-quiet-then-busy", "--artifacts", dir)
	if got.code != 1 || !strings.Contains(got.stdout, "UNSAFE") || !strings.Contains(got.stdout, "ping_interval") {
		t.Errorf("exit %d, want 1 with what is unsafe and an advice\n%s%s", got.code, got.stderr, got.stdout)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	resolved(t, u.checked(t, string(text)))
}

// looksSecret is what no report and no event file may hold: seeds, JWTs, private keys, passwords in URLs.
var looksSecret = regexp.MustCompile(`\bS[ACNOUX][A-Z2-7]{56}\b|\beyJ[\w-]+\.[\w-]+\.|PRIVATE KEY|://[^/@\s"\[]+@`)

// resolved fails unless the ids that a report quotes are those of events in its file, once each, and a finding has a
// picture that shows them.
func resolved(t *testing.T, r report.Report) {
	t.Helper()
	text, err := os.ReadFile(r.Events)
	if err != nil {
		t.Fatal(err)
	}
	if found := looksSecret.Find(text); found != nil {
		t.Errorf("%s holds %s", r.Events, found)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		times[e.ID]++
	}
	var quoted, shown []string
	for _, res := range r.Results {
		quoted = append(quoted, res.Evidence...)
	}
	for _, s := range r.Scenarios {
		for _, p := range s.Pictures {
			for _, l := range p.Lanes {
				for _, m := range l.Marks {
					shown = append(shown, m.Event)
				}
			}
		}
	}
	if len(quoted) == 0 || len(shown) == 0 {
		t.Errorf("%d events are quoted, %d shown", len(quoted), len(shown))
	}
	for _, id := range append(quoted, shown...) {
		if times[id] != 1 {
			t.Errorf("event %q is %d times in %s", id, times[id], r.Events)
		}
	}
}

func pinged(t *testing.T, u user) {
	file := filepath.Join(t.TempDir(), "r.json")
	got := u.run(t, time.Minute, "run", "--topology", "routes-behind-lb", "--set", "idle-timeout=20s", "--nats", "cluster.ping_interval=8s", "--quiet", "--report", "json="+file)
	if got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, "SAFE") {
		t.Errorf("exit %d, want 0, and nothing on stderr\n%s%s", got.code, got.stderr, got.stdout)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if r := u.checked(t, string(text)); r.Verdict != assertions.Safe || r.Run.TimeScale <= 1 {
		t.Errorf("%s at factor %v, want safe in less than real time", r.Verdict, r.Run.TimeScale)
	}
}

func kept(t *testing.T, u user) {
	got := u.run(t, time.Minute, "--topology", "routes-behind-lb", "--set", "frontends=per-node", "--assert", "routes/full-mesh-forms", "--keep")
	if got.code != 0 {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
	if left := u.processes(t); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	dirs, err := filepath.Glob(filepath.Join(u.tmp, "lbtest-*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no directory is left, %v", err)
	}
	for _, d := range dirs {
		if !strings.Contains(got.stderr, d) {
			t.Errorf("nobody says that %s is kept:\n%s", d, got.stderr)
		}
		for _, want := range []string{"n1/nats-server.conf", "n1/nats-server.log"} {
			if _, err := os.Stat(filepath.Join(d, want)); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(d); err != nil {
			t.Error(err)
		}
	}
}

// unread is `lbtest --report json=r.json 2>&1 | head -1`, when head has seen enough.
func unread(t *testing.T, u user) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	file := filepath.Join(t.TempDir(), "r.json")
	cmd := u.command(t.Context(), "--topology", "routes-behind-lb", "--set", "frontends=per-node", "--assert", "routes/full-mesh-forms", "--report", "text=-", "--report", "json="+file)
	cmd.Stdout, cmd.Stderr = w, w
	_ = cmd.Run() // by SIGPIPE, like every other program in a pipe
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("the run was for nothing: %v", err)
	}
	if got := u.checked(t, string(text)).Verdict; got != assertions.Safe {
		t.Errorf("the report says %s, want safe", got)
	}
}

// badUsage asks the process for its exit code and its silence, once for each part of it that refuses: the command line, the
// plan, and the server's own parser. What each says is TestTheWholeProgramRefusesBadUsage's subject.
func badUsage(t *testing.T, u user) {
	for _, args := range []string{"", "--topology routes-behind-lb --sett stall=1s", "--topology routes-behind-lb --set idle-timout=60s", "--topology routes-behind-lb --nats cluster.ping_intervall=2s"} {
		got := u.run(t, time.Minute, strings.Fields(args)...)
		if got.code != 2 || got.stdout != "" || !strings.HasPrefix(got.stderr, "lbtest: ") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", args, got.code, got.stdout, got.stderr)
		}
		if got.took > 10*time.Second { // a tenth of a second, unless the machine is busy; a lab takes longer
			t.Errorf("%s: it took %v", args, got.took)
		}
	}
	if left := u.left(t, nil); len(left) > 0 {
		t.Errorf("something was started: %v", left)
	}
}

// asked goes through everything that the program says about itself.
func asked(t *testing.T, u user) {
	ask := func(args ...string) string {
		t.Helper()
		got := u.run(t, time.Minute, args...)
		if got.code != 0 || got.stderr != "" || strings.TrimSpace(got.stdout) == "" {
			t.Errorf("lbtest %s: exit %d, stdout %q, stderr %q", strings.Join(args, " "), got.code, got.stdout, got.stderr)
		}
		return got.stdout
	}
	var names []string
	for _, top := range topologies.All() {
		names = append(names, top.Name)
	}
	for _, s := range proxies.Settings() {
		names = append(names, s.Name)
	}
	for _, a := range assertions.All() {
		names = append(names, a.Name)
	}
	for _, kind := range []string{"topologies", "settings", "assertions"} {
		all := ask("list", kind)
		listed := func(name string) bool { return strings.Contains(all, "\n"+name+" ") }
		// One of each kind: that all of them can be explained is TestEverythingThatCanBeNamedCanBeExplained's subject.
		if i := slices.IndexFunc(names, listed); i >= 0 {
			if got := ask("explain", names[i]); !strings.HasPrefix(got, names[i]+" (") {
				t.Errorf("explain %s says only %q", names[i], got)
			}
		}
		names = slices.DeleteFunc(names, listed)
	}
	if len(names) > 0 {
		t.Errorf("no list has %v", names)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := ask("completion", shell); !strings.Contains(got, "__complete") {
			t.Errorf("the completion for %s asks nobody", shell)
		}
	}
	if got := ask("version"); strings.Contains(got, "unknown") {
		t.Errorf("version says\n%s", got)
	}
	for _, help := range [][]string{{"--help"}, {"run", "--help"}, {"help"}} {
		if got := ask(help...); !strings.Contains(got, "--topology") {
			t.Errorf("%v says\n%s", help, got)
		}
	}
	if left := u.left(t, nil); len(left) > 0 {
		t.Errorf("something was started: %v", left)
	}
}
