package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/topologies"
)

// inContainers builds the program as it goes into containers, or skips the test where no engine answers.
func inContainers(t *testing.T) (user, *client.Client) {
	t.Helper()
	if testing.Short() || os.Getenv("LBTEST_LONG") == "" {
		t.Skip("starts containers: make integration")
	}
	engine, err := client.New(client.FromEnv)
	if err == nil {
		_, err = engine.Ping(t.Context(), client.PingOptions{})
	}
	if err != nil {
		if os.Getenv("LBTEST_REQUIRE_DOCKER") != "" {
			t.Fatalf("an engine is asked for: %v", err)
		}
		t.Skipf("no Docker engine: %v", err)
	}
	t.Cleanup(func() { engine.Close() })
	program := filepath.Join(t.TempDir(), "lbtest")
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return user{program, t.TempDir()}, engine
}

// TestTopologiesInContainers asks one thing of each topology. The same is asked of the embedded runtime at night: other
// tests do so by day. make docker-sweep asks everything of both.
func TestTopologiesInContainers(t *testing.T) {
	someone, _ := inContainers(t)
	for name, c := range map[string]struct {
		args []string
		want assertions.Verdict
	}{
		"clients that wait for INFO":         {[]string{"--topology", "clients-behind-lb", "--set", "inspection=client-first", "--assert", "client/connects"}, assertions.Unsafe},
		"TLS from end to end":                {[]string{"--topology", "clients-behind-lb", "--set", "tls=passthrough", "--nats", "tls.verify_and_map=true", "--assert", "tls/connects"}, assertions.Safe},
		"twenty source ports":                {[]string{"--topology", "clients-behind-lb", "--set", "source-ports=20", "--assert", "ports/all-connect"}, assertions.Unsafe},
		"websockets":                         {[]string{"--topology", "websocket-behind-lb", "--set", "frontends=shared", "--assert", "client/connects"}, assertions.Safe},
		"gateways that meet HTTP":            {[]string{"--topology", "gateways-behind-lb", "--set", "inspection=http", "--assert", "gateways/connect"}, assertions.Risky}, // let through after 5 s
		"leafnodes that meet a PROXY header": {[]string{"--topology", "leafnodes-behind-lb", "--set", "proxy-protocol=v2", "--assert", "leafnodes/connect"}, assertions.Unsafe},
		"each balancer with settings of its own": {[]string{"--topology", "all-behind-lb", "--set", "gateways:proxy-protocol=v2",
			"--assert", "gateways/connect", "--assert", "routes/full-mesh-forms"}, assertions.Unsafe},
	} {
		for _, runtime := range []string{"embedded", "docker"} {
			t.Run(name+", "+runtime, func(t *testing.T) {
				if runtime == "embedded" && os.Getenv("LBTEST_NIGHTLY") == "" {
					t.Skip("LBTEST_NIGHTLY is not set")
				}
				t.Parallel()
				u := user{someone.program, t.TempDir()}
				got, r := u.judged(t, append([]string{"--runtime", runtime, "--json"}, c.args...)...)
				t.Logf("%s after %s", r.Verdict, got.took.Round(time.Second))
				if r.Verdict != c.want || r.Run.Runtime != runtime {
					t.Errorf("got %s in %s, want %s\n%s\n%s", r.Verdict, r.Run.Runtime, c.want, got.stderr, got.stdout)
				}
				u.nothingLeft(t, time.Now(), nil)
			})
		}
	}
}

// judged is a run that gives a verdict. One that finds its machine too busy says so and gives none. Beside the tests of
// other packages that may be so for minutes, and says nothing about containers.
func (u user) judged(t *testing.T, args ...string) (got heard, r report.Report) {
	t.Helper()
	for range 3 {
		got = u.run(t, 10*time.Minute, args...)
		r = u.checked(t, got.stdout)
		if r.Verdict != assertions.Errored || !strings.Contains(got.stdout, "too busy to tell") && !strings.Contains(got.stdout, "late in the control") {
			break
		}
	}
	return got, r
}

// TestSweepsInContainers holds whole sweeps of both runtimes against each other: too long for every day. What was flaky in
// one of them, or not judged since the machine was too busy, says nothing about the other runtime: it is asked again, alone.
func TestSweepsInContainers(t *testing.T) {
	if os.Getenv("LBTEST_SWEEPS") == "" {
		t.Skip("takes most of an hour: make docker-sweep")
	}
	someone, _ := inContainers(t)
	for _, top := range topologies.All() {
		t.Run(top.Name, func(t *testing.T) {
			u := user{someone.program, t.TempDir()}
			ask := func(runtime string, args ...string) map[string]report.Scenario {
				got := u.run(t, 30*time.Minute, append([]string{"--runtime", runtime, "--json"}, args...)...)
				scenarios := map[string]report.Scenario{}
				for _, s := range u.checked(t, got.stdout).Scenarios {
					scenarios[s.Name] = s
				}
				return scenarios
			}
			sweep := []string{"--topology", top.Name}
			embedded, docker := ask("embedded", sweep...), ask("docker", sweep...)
			if !maps.EqualFunc(embedded, docker, func(a, b report.Scenario) bool { return a.Name == b.Name }) {
				t.Fatalf("the sweeps are of %d scenarios embedded and %d in containers", len(embedded), len(docker))
			}
			for _, name := range slices.Sorted(maps.Keys(embedded)) {
				e, d := embedded[name], docker[name]
				if e.Verdict != d.Verdict && (unsure(e) || unsure(d)) {
					t.Logf("%s was %s (flaky: %v) embedded, %s (flaky: %v) in containers: %q, %q", name, e.Verdict, e.Flaky, d.Verdict, d.Flaky, e.Because, d.Because)
					alone := strings.Fields(e.Reproduce)[1:]
					e, d = ask("embedded", alone...)[name], ask("docker", alone...)[name]
				}
				t.Logf("%-8s %-8s %s", e.Verdict, d.Verdict, name)
				if e.Verdict == "" || e.Verdict != d.Verdict {
					t.Errorf("%s is %s embedded and %s in containers: %q, %q", name, e.Verdict, d.Verdict, e.Because, d.Because)
				}
			}
		})
	}
}

// unsure reports whether a scenario has no verdict that would be the same another time.
func unsure(s report.Scenario) bool {
	return s.Flaky || s.Verdict == assertions.Errored && strings.Contains(s.Reason, "too busy to tell")
}

// TestVerdictsInContainers asks for the verdicts that the same settings have on one machine's loopback interface.
func TestVerdictsInContainers(t *testing.T) {
	someone, _ := inContainers(t)
	for _, c := range []struct {
		set     string
		want    assertions.Verdict
		by      string // the assertion that must say so
		nightly bool   // only where LBTEST_NIGHTLY is set
	}{
		{"frontends=per-node", assertions.Safe, "routes/full-mesh-forms", false},
		{"frontends=shared", assertions.Unsafe, "routes/full-mesh-forms", true},
		{"idle-timeout=20s", assertions.Unsafe, "core/no-loss-when-quiet-then-busy", false},
		{"stall=1s", assertions.Safe, "jetstream/quorum-holds", true},
		{"stall=12s", assertions.Unsafe, "jetstream/quorum-holds", false},
		{"restart=crash", assertions.Risky, "core/delivery-between-all-nodes", true},
	} {
		t.Run(c.set, func(t *testing.T) {
			if c.nightly && os.Getenv("LBTEST_NIGHTLY") == "" {
				t.Skip("LBTEST_NIGHTLY is not set")
			}
			u := user{someone.program, t.TempDir()}
			got, r := u.judged(t, "--topology", "routes-behind-lb", "--runtime", "docker", "--set", c.set, "--json")
			t.Logf("%s after %s", r.Verdict, got.took.Round(time.Second))
			if r.Verdict != c.want || r.Run.Runtime != "docker" {
				t.Errorf("got %s in %s, want %s\n%s\n%s", r.Verdict, r.Run.Runtime, c.want, got.stderr, got.stdout)
			}
			for _, result := range r.Results {
				if result.Assertion == c.by && (result.Verdict != c.want || c.want == assertions.Safe && !result.FaultProved) {
					t.Errorf("%s is %s, its fault proved: %v; want %s", c.by, result.Verdict, result.FaultProved, c.want)
				}
				if result.Assertion == "routes/stay-behind-lb" && result.Verdict != assertions.Safe {
					t.Errorf("a route past the balancer: %s", result.Got)
				}
			}
			u.nothingLeft(t, time.Now(), nil)
		})
	}
}

// TestNodesInContainersMeetTheirLimits asks what a burst and a stream in memory do to nodes of 64 MiB.
func TestNodesInContainersMeetTheirLimits(t *testing.T) {
	someone, _ := inContainers(t)
	for _, c := range []struct {
		name, args string
		want       assertions.Verdict // of each promise
		says       string
		nightly    bool
	}{
		{"as they come", "--node memory=64MiB", assertions.Unsafe, "memory", false},
		{"told what they may use", "--node memory=64MiB --node gomemlimit=48MiB --nats jetstream.max_memory_store=16MiB --nats max_pending=7MiB", assertions.Safe, "lives", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.nightly && os.Getenv("LBTEST_NIGHTLY") == "" {
				t.Skip("LBTEST_NIGHTLY is not set")
			}
			u := user{someone.program, t.TempDir()}
			got := u.run(t, 5*time.Minute, append([]string{"--topology", "routes-behind-lb", "--runtime", "docker", "--json"}, strings.Fields(c.args)...)...)
			r := u.checked(t, got.stdout)
			t.Logf("%s after %s", r.Verdict, got.took.Round(time.Second))
			if len(r.Results) != 2 {
				t.Fatalf("%d answers\n%s\n%s", len(r.Results), got.stderr, got.stdout)
			}
			for _, result := range r.Results {
				t.Logf("%s: %s", result.Assertion, result.Got)
				if result.Verdict != c.want || !strings.Contains(result.Got, c.says) {
					t.Errorf("%s is %s, want %s: %s", result.Assertion, result.Verdict, c.want, result.Got)
				}
			}
			if r.Scenarios[0].Node["memory"] != "64MiB" || !strings.Contains(r.Scenarios[0].Reproduce, "--node memory=64MiB") {
				t.Errorf("the report does not tell the limits: %v, %s", r.Scenarios[0].Node, r.Scenarios[0].Reproduce)
			}
			u.nothingLeft(t, time.Now(), nil)
		})
	}
}

// swept is how soon after its end nothing is left of a run in containers. Each takes the engine a fraction of a
// second, and most of that is waiting.
const swept = 10 * time.Second

func TestARunInContainersThatIsEndedLeavesNothing(t *testing.T) {
	someone, engine := inContainers(t)
	for name, by := range map[string]syscall.Signal{"by SIGKILL": syscall.SIGKILL, "by SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			u := user{someone.program, t.TempDir()}
			r := u.start(t, "--topology", "routes-behind-lb", "--runtime", "docker", "--set", "stall=1s", "--json")
			defer r.cmd.Process.Kill()
			// Balancers and some of the nodes are there by then, and others on their way.
			const some = 6
			var label string
			for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
				if label = u.label(t); label != "" && len(labelled(t, engine, label)) >= some {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("no lab began: %s", r.log.String())
				}
			}
			before := images(t, engine)
			at := time.Now()
			if err := r.cmd.Process.Signal(by); err != nil {
				t.Fatal(err)
			}
			r.cmd.Wait()
			for {
				left := append(u.left(t, nil), labelled(t, engine, label)...)
				if len(left) == 0 {
					t.Logf("nothing was left within %v", time.Since(at).Round(10*time.Millisecond))
					break
				}
				if time.Since(at) > swept {
					t.Fatalf("%v later there is still %s", swept, strings.Join(left, ", "))
				}
				time.Sleep(50 * time.Millisecond)
			}
			for _, name := range images(t, engine) {
				if !slices.Contains(before, name) && !strings.HasPrefix(name, "lbtest/program:") {
					t.Errorf("image %s is left, which is none of the program's", name)
				}
			}
			if by == syscall.SIGKILL {
				return
			}
			if got := r.cmd.ProcessState.ExitCode(); got != 130 {
				t.Errorf("exit %d, want 130", got)
			}
			said, err := report.Read(strings.NewReader(r.out.String()))
			if err != nil || !said.Run.Interrupted {
				t.Errorf("the report does not say that the run was interrupted: %v\n%s", err, r.out.String())
			}
		})
	}
}

// label is what marks the containers of the user's run, as its sweeper has been told; "" before that.
func (u user) label(t *testing.T) string {
	t.Helper()
	for _, pid := range u.processes(t) {
		line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
		if words := bytes.Split(line, []byte{0}); len(words) > 2 && string(words[1]) == "__docker-sweeper" {
			return "lbtest.run=" + string(words[2])
		}
	}
	return ""
}

// labelled lists the containers and networks with that label.
func labelled(t *testing.T, engine *client.Client, label string) (found []string) {
	t.Helper()
	of := client.Filters{}.Add("label", label)
	boxes, err := engine.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boxes.Items {
		found = append(found, "container "+b.ID[:12])
	}
	links, err := engine.NetworkList(context.Background(), client.NetworkListOptions{Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range links.Items {
		found = append(found, "network "+n.ID[:12])
	}
	return found
}

// images lists those that have a name, and those that have lost it.
func images(t *testing.T, engine *client.Client) (names []string) {
	t.Helper()
	all, err := engine.ImageList(context.Background(), client.ImageListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all.Items {
		if len(i.RepoTags) == 0 {
			names = append(names, i.ID)
		}
		names = append(names, i.RepoTags...)
	}
	return names
}

// withoutAnEngine asks for containers where nobody answers.
func withoutAnEngine(t *testing.T, u user) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	got := u.run(t, time.Minute, "--topology", "routes-behind-lb", "--runtime", "docker", "--set", "stall=1s")
	if got.code != 2 || got.stdout != "" || !strings.Contains(got.stderr, "--runtime docker cannot be used here") || !strings.Contains(got.stderr, "ngine") {
		t.Errorf("exit %d, want 2 with a reason\n%s%s", got.code, got.stdout, got.stderr)
	}
	u.nothingLeft(t, time.Now(), nil)
}
