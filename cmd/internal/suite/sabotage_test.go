package suite

import (
	"os"
	"slices"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
	"github.com/lbtest/lbtest/topologies/embedded"
)

// watchedLab runs the one lab in which those assertions are judged with something else beside: somebody who does to NATS,
// behind lbtest's back, what no balancer is known to do, or who looks on.
func watchedLab(t *testing.T, topology, set string, beside *assertions.Observation, judges ...assertions.Assertion) assertions.History {
	t.Helper()
	if testing.Short() || os.Getenv("LBTEST_LONG") == "" {
		t.Skip("long: starts a cluster")
	}
	t.Parallel()
	rt := embedded.New(embedded.Options{})
	defer func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}()
	top, _ := topologies.Find(topology)
	s, err := newScenario(top, origin{}, []string{set}, common{clients: usualClients, auth: topologies.Password}, judges, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	l := s.labs[0]
	l.beside = append(l.beside, beside)
	h, err := l.run(t.Context(), rt, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// judgedBy is the assertion of that name.
func judgedBy(t *testing.T, name string) assertions.Assertion {
	t.Helper()
	all := assertions.All()
	i := slices.IndexFunc(all, func(a assertions.Assertion) bool { return a.Name == name })
	if i < 0 {
		t.Fatalf("no assertion is called %s", name)
	}
	return all[i]
}
