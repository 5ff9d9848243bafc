package embedded

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/topologies"
)

func TestServersReadTheirLimitFromTheEnvironment(t *testing.T) {
	r := newRuntime(t, Options{})
	const limit = 48 << 20
	d := start(t, r, topologies.Build{Topology: behind(t), Limits: topologies.Limits{GoMemLimit: limit}})
	answer, err := http.Get(d.Nodes()[0].Monitor() + "/varz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var varz struct {
		GoMemLimit int64 `json:"gomemlimit"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&varz); err != nil || varz.GoMemLimit != limit {
		t.Errorf("the server's GOMEMLIMIT is %d: %v", varz.GoMemLimit, err)
	}
}

// Nothing keeps a child process to a limit, and what was asked for and is impossible is refused.
func TestProcessesHaveNoLimitsOfTheirOwn(t *testing.T) {
	r := New(Options{})
	for _, l := range []topologies.Limits{{Memory: 64 << 20}, {CPUs: 0.5}} {
		if err := r.Check(topologies.Build{Topology: behind(t), Limits: l}); err == nil || !strings.Contains(err.Error(), "--runtime docker") {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if err := r.Check(topologies.Build{Topology: behind(t), Limits: topologies.Limits{GoMemLimit: 48 << 20}}); err != nil {
		t.Errorf("GOMEMLIMIT: %v", err)
	}
}
