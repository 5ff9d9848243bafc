package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/proxies/profiles"
)

func output(t *testing.T, args ...string) string {
	t.Helper()
	var l lab
	if got := l.run(args...); got != 0 {
		t.Fatalf("lbtest %v exits with %d: %s", args, got, l.log.String())
	}
	return l.out.String()
}

func TestListsAreTheRegistries(t *testing.T) {
	for kind, want := range map[string]string{
		"topologies": "routes-behind-lb", "settings": "idle-timeout", "assertions": "routes/stay-up-when-quiet",
		"formats": "json", "runtimes": "embedded", "profiles": "aws-nlb-tcp", "limits": "gomemlimit", "sweeps": "bandwidth", "suites": "smoke",
	} {
		if got := output(t, "list", kind); !strings.Contains(got, want) {
			t.Errorf("list %s has no %s:\n%s", kind, want, got)
		}
		var entries []entry
		if err := json.Unmarshal([]byte(output(t, "list", kind, "--json")), &entries); err != nil {
			t.Errorf("list %s --json: %v", kind, err)
		}
		if !slices.ContainsFunc(entries, func(e entry) bool { return e.Name == want && e.About != "" }) {
			t.Errorf("list %s --json has no %s with a sentence about it", kind, want)
		}
	}
}

func TestEverythingThatCanBeNamedCanBeExplained(t *testing.T) {
	for _, name := range explainable() {
		got := output(t, "explain", name)
		if !strings.HasPrefix(got, name+" (") || strings.Count(got, "\n") < 4 || len(strings.Fields(got)) < 20 {
			t.Errorf("explain %s says only\n%s", name, got)
		}
		for _, l := range strings.Split(got, "\n") {
			if len([]rune(l)) > textWidth {
				t.Errorf("explain %s has a line wider than %d: %s", name, textWidth, l)
			}
		}
	}
}

func TestASettingIsExplainedWithWhoSpeaksOfItAndWhatBreaksIt(t *testing.T) {
	got := output(t, "explain", "idle-timeout=20s")
	for _, want := range []string{"values", "default   none", "judged by", "routes/stay-up-when-quiet", "hostile"} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
}

func TestAProfileIsListedWithWhatItDoesAndWhatNobodyKnows(t *testing.T) {
	list := output(t, "list", "profiles")
	for name, want := range map[string][]string{
		"aws-nlb-tcp":       {"350s", "rst-on-next", "counts", "balance"},
		"aws-alb":           {"60s", "unknown", "ignored", "idle-expiry"},
		"do-regional":       {"unknown", "unknown", "unknown", "idle-keepalive,idle-timeout"},
		"haproxy-tcp":       {"none", "-", "-", "balance"},
		"openstack-octavia": {"50s", "fin", "ignored", "hairpin"},
		"cisco-asa":         {"1h", "silent", "counts", "-"},
	} {
		for line := range strings.Lines(list) {
			words := strings.Fields(line)
			if words[0] != name {
				continue
			}
			for i, w := range want {
				if got := words[i+1]; !strings.Contains(got, w) {
					t.Errorf("%s: got %q, want %q", name, words[1:5], want)
					break
				}
			}
			if !strings.HasSuffix(strings.TrimSpace(line), ")") {
				t.Errorf("%s has no source with its date: %s", name, line)
			}
		}
	}
	var entries []entry
	if err := json.Unmarshal([]byte(output(t, "list", "profiles", "--json")), &entries); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name == "aws-alb" && (e.Settings["idle-timeout"] != "60s" || e.Unverified["idle-expiry"] == "" || e.Source == "" || e.Checked == "") {
			t.Errorf("got %+v", e)
		}
	}
}

func TestWhatExplainPrintsOfAProfileIsAFileThatRuns(t *testing.T) {
	explained := output(t, "explain", "aws-nlb-tcp")
	for _, want := range []string{"idle-timeout=350s", "settable", "from 60s to 1h40m", "(unverified)", "source", "June 2023", "--profile aws-nlb-tcp"} {
		if !strings.Contains(explained, want) {
			t.Errorf("there is no %q in\n%s", want, explained)
		}
	}
	_, text, _ := strings.Cut(explained, "my-lb.yaml):\n\n")
	path := filepath.Join(t.TempDir(), "my-lb.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := output(t, "explain", path); !strings.HasPrefix(got, "my-aws-nlb-tcp (profile)") || !strings.Contains(got, path) {
		t.Errorf("got\n%s", got)
	}
}

func TestTheSchemaOfAProfileIsPrinted(t *testing.T) {
	if got := output(t, "schema", "profile"); got != string(profiles.Schema()) || !json.Valid([]byte(got)) {
		t.Errorf("got\n%s", got)
	}
}

func TestVersionsAreThoseOfTheBuild(t *testing.T) {
	var v report.Versions
	if err := json.Unmarshal([]byte(output(t, "version", "--json")), &v); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"nats-server": v.NATSServer, "nats.go": v.NATSGo, "toxiproxy": v.Toxiproxy} {
		if !strings.HasPrefix(got, "1.") && !strings.HasPrefix(got, "2.") {
			t.Errorf("%s is %q", name, got)
		}
	}
	if got := output(t, "version"); !strings.Contains(got, "nats-server  "+v.NATSServer) {
		t.Errorf("got\n%s", got)
	}
}

func TestSchemaIsThatOfTheReport(t *testing.T) {
	if got := output(t, "schema"); got != string(report.Schema()) || !json.Valid([]byte(got)) {
		t.Errorf("got\n%s", got)
	}
}

func TestHelpNamesEveryFlagOnce(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"run", "--help"}} {
		got := output(t, args...)
		for _, flag := range strings.Fields("topology set nats client assert time-scale seed parallel run-timeout keep artifacts verify-advice " +
			"report json fail-on quiet verbose no-color") {
			if n := strings.Count(got, "\n      --"+flag+" "); n != 1 {
				t.Errorf("%v names --%s %d times", args, flag, n)
			}
		}
		for _, want := range []string{"What to test:", "How to test:", "What comes out:", "Examples:"} {
			if !strings.Contains(got, want) {
				t.Errorf("%v has no %q", args, want)
			}
		}
	}
}

func TestCompletionFollowsTheRegistries(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--topology", "r"}, "routes-behind-lb\t"},
		{[]string{"--topology", "r"}, "routes-behind-lb\t"},
		{[]string{"run", "--set", "idle"}, "idle-timeout=\t"},
		{[]string{"run", "--set", "idle-expiry="}, "idle-expiry=rst-on-next\n"},
		{[]string{"run", "--assert", "j"}, "jetstream/quorum-holds\t"},
		{[]string{"run", "--report", ""}, "json=\t"},
		{[]string{"run", "--fail-on", ""}, "never\n"},
		{[]string{"balancer", "--profile", "aws"}, "aws-nlb-tcp\t"},
		{[]string{"balancer", "--set", "idle"}, "idle-timeout=\t"},
		{[]string{"balancer", "--events", ""}, "jsonl=\n"},
		{[]string{"explain", ""}, "restart\n"},
		{[]string{"matrix", "--suite", ""}, "regression\t"},
		{[]string{"list", ""}, "settings"},
		{[]string{"completion", ""}, "powershell"},
	} {
		if got := output(t, append([]string{"__complete"}, c.args...)...); !strings.Contains(got, c.want) {
			t.Errorf("completing %q has no %q:\n%s", c.args, c.want, got)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := output(t, "completion", shell); !strings.Contains(got, "lbtest") {
			t.Errorf("the script for %s is\n%s", shell, got)
		}
	}
}

func TestTheWorstSoFarIsWhatTheRunWouldBeCalled(t *testing.T) {
	for _, c := range []struct{ a, b, want assertions.Verdict }{
		{"", assertions.Skipped, assertions.Skipped},
		{assertions.Safe, assertions.Risky, assertions.Risky},
		{assertions.Errored, assertions.Unsafe, assertions.Unsafe},
		{assertions.Unsafe, assertions.Errored, assertions.Unsafe},
		{assertions.Risky, assertions.Errored, assertions.Errored},
	} {
		if got := worse(c.a, c.b); got != c.want {
			t.Errorf("the worse of %q and %q is %q, want %q", c.a, c.b, got, c.want)
		}
	}
}
