package suite

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

// What crowds of clients were seen to do at real balancers' limits, and after their restart.
func init() {
	const clients = "clients-behind-lb"
	more = append(more,
		// Ports are counted towards each of three nodes: seven of them are 21 clients, where one node has 20 of 20.
		row{name: "thirty clients, ports for twenty: ten are turned away", long: true, topology: clients, clients: 30, set: "source-ports=20 balance=source-hash",
			want: isUnsafe, by: "ports/all-connect", says: "10 of 30 clients did not connect: end of file"},
		row{name: "thirty clients, ports for twenty: a proxy says so at once", topology: clients, clients: 30, set: "source-ports=20 balance=source-hash",
			want: isSafe, by: "ports/full-is-clear", says: "10 of 30 clients found it full and were told at once: end of file", long: true},
		row{name: "thirty clients, ports for twenty: a NAT says nothing", topology: clients, clients: 30, set: "source-ports=20 balance=source-hash port-exhaustion=swallow",
			want: isUnsafe, by: "ports/full-is-clear", says: "10 of 30 clients heard nothing until they gave up after 2", long: true},
		row{name: "ports for all, on three nodes", topology: clients, clients: 30, set: "source-ports=20", want: isSafe, by: "ports/all-connect", long: true},
		row{name: "and for all after they have come back", topology: clients, clients: 30, set: "source-ports=20", want: isSafe, by: "ports/recover-after-churn", long: true},
		row{name: "ports that rest after a restart of all clients", topology: clients, set: "source-ports=50",
			want: isUnsafe, by: "ports/recover-after-churn", says: "50 of 100 clients not back within 30 s after they left: end of file", long: true},
		row{name: "ports that rest for a second only", nightly: true, topology: clients, set: "source-ports=50 port-reuse-delay=1s", want: notSafe, by: "ports/recover-after-churn", says: "all 100 clients came back", long: true},
		row{name: "ports that rest outlive a crash", nightly: true, topology: clients, set: "source-ports=50 restart=crash", want: isUnsafe, by: "client/herd-recovers", says: "50 of 100 clients not back", long: true},
		row{name: "ports for twice as many", assert: "ports/recover-after-churn", topology: clients, set: "source-ports=100", want: isSafe, long: true},
		// HAProxy: maxconn of a frontend.
		row{name: "maxconn: the TCP connect succeeds and nothing comes", topology: clients, set: "max-connections=80", want: isUnsafe, by: "ports/full-is-clear", says: "gave up after 2", long: true},
		row{name: "a limit that says so", topology: clients, set: "max-connections=80 connection-limit=close", want: isSafe, by: "ports/full-is-clear", says: "told at once: end of file", long: true},
		row{name: "a limit that says so leaves clients out all the same", topology: clients, set: "max-connections=80 connection-limit=reset",
			want: isUnsafe, by: "ports/all-connect", says: "clients did not connect: connection reset", long: true},
		row{name: "a limit that nobody reaches", assert: "ports/all-connect", topology: clients, set: "max-connections=200", want: isSafe, long: true},
		row{name: "a rate that lets forty in before the others give up", topology: clients, set: "connect-rate=20", want: isUnsafe, by: "ports/all-connect", says: "clients did not connect: timeout", long: true},
		row{name: "a rate that makes clients wait", nightly: true, topology: clients, set: "connect-rate=100", want: isRisky, by: "ports/all-connect", long: true},
		row{name: "a rate that nobody notices", topology: clients, set: "connect-rate=1000", want: isSafe, by: "ports/all-connect", long: true},
		row{name: "a herd before a rate: those who give up take turns", nightly: true, topology: clients, set: "connect-rate=20 restart=crash", want: isRisky, by: "client/herd-recovers", says: "all 100 clients came back", long: true},

		row{name: "a thousand clients after a restart: back in 2.5 to 3.5 s", topology: clients, clients: 1000, set: "restart=crash", want: isSafe, by: "client/herd-recovers", says: "1000 connections ended, the last client was back", long: true},
		row{name: "a reload ends no connection", topology: clients, set: "restart=reload", want: isSafe, by: "client/herd-recovers", says: "no connection of 100 clients ended", long: true},
		row{name: "least connections after a restart", topology: clients, set: "restart=crash balance=least-connections", want: isSafe, by: "client/spread-over-nodes", long: true},
		row{name: "chance", topology: clients, set: "balance=random", want: isSafe, by: "client/spread-over-nodes", long: true},
		row{name: "everybody behind one address", long: true, topology: clients, set: "balance=source-hash", want: isRisky, by: "client/spread-over-nodes", says: "all 100 clients are on n"},
	)
}

// TestACrowdReachesLimitsThatTheTesterItselfDoesNot: what the expected clients reach is judged, however large it is.
func TestACrowdReachesLimitsThatTheTesterItselfDoesNot(t *testing.T) {
	const beyond = assertions.Fillable + 1000
	for _, c := range []struct {
		set     string
		clients int
		judged  bool
	}{
		{"max-connections=3000", beyond + 1, true},
		{"max-connections=3000", beyond, false}, // all of them find room
		{"max-connections=2000", 10, true},      // the tester's own connections fill it
		{"source-ports=2001", 3 * 2001, false},  // towards each of three nodes
		{"source-ports=2001", 3*2001 + 1, true},
		{"connect-rate=3000", 5000, false}, // more than the crowd's own pace
	} {
		s, err := newScenario(theClients(t), origin{}, []string{c.set}, common{clients: c.clients}, nil, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if judged := len(s.labs) > 0; judged != c.judged || !judged && !strings.Contains(s.skip, "--clients N") {
			t.Errorf("%s with %d clients: judged %v, %q", c.set, c.clients, judged, s.skip)
		}
		name, _, _ := strings.Cut(c.set, "=")
		for _, l := range s.labs {
			if within := count(s.settings[name]) <= assertions.Fillable; (l.proves[name] != "") != (l.crowd() || within) {
				t.Errorf("%s with %d clients: proved %v where there is a crowd %v", c.set, c.clients, l.proves, l.crowd())
			}
		}
	}
}

func TestMoreClientsThanDescriptorsAreRefusedBeforeAnythingStarts(t *testing.T) {
	if descriptors() == math.MaxInt32 {
		t.Skip("this system says no limit")
	}
	o := Options{Topologies: []string{"clients-behind-lb"}, Set: []string{"restart=crash"}, Runtime: paper{}, Clients: descriptors()}
	if _, err := NewPlan(o); err == nil || !strings.Contains(err.Error(), "--clients") || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("got %v", err)
	}
	o.Clients = (descriptors() - otherFiles) / perClient
	if _, err := NewPlan(o); err != nil {
		t.Error(err)
	}
	o.Clients, o.Assert = descriptors(), []string{"client/connects"}
	if _, err := NewPlan(o); err != nil {
		t.Errorf("no crowd connects, and yet: %v", err)
	}
}

func TestCrowdsOfDifferentSizesHaveControlsOfTheirOwn(t *testing.T) {
	var keys []string
	for _, n := range []int{10, 20, 20} {
		s, err := newScenario(theClients(t), origin{}, []string{"restart=crash"}, common{clients: n}, nil, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(s.labs, lab.crowd)
		keys = append(keys, s.labs[i].control().key())
	}
	if keys[0] == keys[1] || keys[1] != keys[2] {
		t.Errorf("%q", keys)
	}
}

func theClients(t *testing.T) topologies.Topology {
	t.Helper()
	top, ok := topologies.Find("clients-behind-lb")
	if !ok {
		t.Fatal("there is no such topology")
	}
	return top
}
