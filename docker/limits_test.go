package docker

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/lbtest/lbtest/topologies"
)

func TestANodeIsKeptToItsLimits(t *testing.T) {
	rt := open(t)
	limits := topologies.Limits{Memory: 96 << 20, CPUs: 0.5, GoMemLimit: 48 << 20}
	d, err := rt.Start(t.Context(), topologies.Build{Topology: cluster("n1"), Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	n := d.Nodes()[0].(topologies.Limited)
	used, err := n.Used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// What a container of half a processor has done to listen takes it more than one period of 100 ms.
	if used.Limit != limits.Memory || used.Memory <= 0 || used.Memory > limits.Memory || used.Periods == 0 {
		t.Errorf("the kernel says %+v", used)
	}
	answer, err := http.Get(d.Nodes()[0].Monitor() + "/varz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var varz struct {
		GoMemLimit int64 `json:"gomemlimit"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&varz); err != nil || varz.GoMemLimit != limits.GoMemLimit {
		t.Errorf("the server's GOMEMLIMIT is %d: %v", varz.GoMemLimit, err)
	}
	if n.Exhausted() {
		t.Error("it lives, and is taken for killed")
	}
	if err := d.Nodes()[0].Kill(); err != nil {
		t.Fatal(err)
	}
	if n.Exhausted() {
		t.Error("it was killed by us, and not for want of memory")
	}
}
