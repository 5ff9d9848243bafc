package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/topologies"
)

// tidyRuntime has something to clean up.
type tidyRuntime struct {
	fakeRuntime
	removed []string
	trouble error
}

func (r *tidyRuntime) Tidy() ([]string, error) { return r.removed, r.trouble }

var _ topologies.Tidy = (*tidyRuntime)(nil)

func TestCleanupSaysWhatItRemovedAndWhatItCouldNot(t *testing.T) {
	for _, c := range []struct {
		name     string
		of       map[string]*tidyRuntime
		code     int
		out, log string
	}{
		{"nothing", map[string]*tidyRuntime{"embedded": {}, "docker": {}}, 0, "nothing was left behind", ""},
		{"something", map[string]*tidyRuntime{"embedded": {removed: []string{"directory /tmp/x"}}, "docker": {removed: []string{"container a", "network b"}}}, 0,
			"removed directory /tmp/x\nremoved container a\nremoved network b\n", ""},
		{"no engine", map[string]*tidyRuntime{"embedded": {}, "docker": {fakeRuntime: fakeRuntime{unusable: errors.New("nobody answers")}}}, 0,
			"nothing was left behind", "--runtime docker was looked for: nobody answers"},
		{"what cannot be removed", map[string]*tidyRuntime{"embedded": {removed: []string{"process 7, a node"}, trouble: errors.New("busy")}, "docker": {}}, exitOurs,
			"removed process 7", "runtime embedded: busy"},
	} {
		l := lab{tidy: c.of}
		if code := l.run("cleanup"); code != c.code || !strings.Contains(l.out.String(), c.out) || !strings.Contains(l.log.String(), c.log) {
			t.Errorf("%s: exit %d, want %d\n%s%s", c.name, code, c.code, l.out.String(), l.log.String())
		}
		l = lab{tidy: c.of}
		l.run("cleanup", "--json")
		var said []cleaned
		if err := json.Unmarshal(l.out.Bytes(), &said); err != nil || len(said) != len(runtimes) {
			t.Errorf("%s: %v\n%s", c.name, err, l.out.String())
		}
	}
}

func TestTheDoctorSaysWhetherNodesCanBeRun(t *testing.T) {
	var l lab
	code := l.run("doctor", "--json")
	var said checkup
	if err := json.Unmarshal(l.out.Bytes(), &said); err != nil || code != 0 || !said.OK || len(said.Checks) < 5 {
		t.Errorf("exit %d: %v\n%s%s", code, err, l.out.String(), l.log.String())
	}
	for _, c := range said.Checks {
		if c.Name == "" || c.Value == "" || c.State == stateBroken {
			t.Errorf("%+v", c)
		}
	}
	l = lab{unusable: errors.New("there is no place for directories")}
	if code := l.run("doctor"); code != exitOurs || !strings.Contains(l.out.String(), "no place for directories") {
		t.Errorf("exit %d, want %d\n%s", code, exitOurs, l.out.String())
	}
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	l = lab{}
	if code := l.run("doctor"); code != 0 || !strings.Contains(l.out.String(), "would skip") || !strings.Contains(l.out.String(), "--runtime docker") {
		t.Errorf("without an engine: exit %d, want 0\n%s", code, l.out.String())
	}
	if out := strings.Join(strings.Fields(l.out.String()), " "); !strings.Contains(out, "--set engine=kernel: kernel balancer: it balances in a container of its own (--runtime docker)") {
		t.Errorf("without an engine nobody says that engine=kernel is skipped, and why\n%s", l.out.String())
	}
}

func TestTheDoctorSaysWhatTheKernelBalancerNeeds(t *testing.T) {
	missing, refused := errors.New("nobody answers"), errors.New("nftables are not in this kernel")
	for _, c := range []struct {
		name                 string
		containers, nftables error
		state, says, why     string
	}{
		{"all of it", nil, nil, stateOK, "--runtime embedded skips --set engine=kernel", ""},
		{"no containers", missing, nil, stateMissing, "nobody answers", "--runtime docker"},
		{"no nftables", nil, refused, stateMissing, "not in this kernel", "by nftables"},
		{"neither", missing, refused, stateMissing, "nobody answers", "--runtime docker"},
	} {
		var got checkup
		got.balancesAsKernel(c.containers, c.nftables)
		if len(got.Checks) != 1 || got.Checks[0].State != c.state || !strings.Contains(got.Checks[0].Value, c.says) {
			t.Errorf("%s: got %+v, want %s and %q", c.name, got.Checks, c.state, c.says)
		}
		if c.why == "" && len(got.WouldSkip) > 0 ||
			c.why != "" && (len(got.WouldSkip) != 1 || got.WouldSkip[0].What != "--set engine=kernel" || !strings.Contains(got.WouldSkip[0].Why, c.why)) {
			t.Errorf("%s: would skip %+v, want %q", c.name, got.WouldSkip, c.why)
		}
	}
}
