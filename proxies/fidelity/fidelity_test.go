// Package fidelity holds the simulated balancer against real ones: the same NATS client does the same things
// behind HAProxy or nginx and behind the simulation with the same settings, and what client and server see must
// agree. Real balancers are Debian's packages; LBTEST_REQUIRE_REAL_LB=1 makes their absence a failure.
package fidelity

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lbtest/lbtest/proxies"
)

// row is one setting, as a real balancer and as the simulation have it.
type row struct {
	name   string
	real   real              // which real balancer, and its configuration
	set    []string          // the same for the simulation
	server server            // what stands behind
	do     func(*way) seen   // what the client does
	apart  map[string]string // what differs on purpose, by the name of what was seen, and why
}

// seen is what one try showed: words must be equal, times alike.
type seen map[string]any

// alike is how far two times may be apart: a tenth, or what the client's own timers and a busy machine scatter.
func alike(a, b time.Duration) bool {
	return (a - b).Abs() <= max(150*time.Millisecond, max(a, b)/10)
}

// way is a client's way to its servers: through a real balancer or through the simulated one.
type way struct {
	*testing.T
	addr    string
	servers []*natsServer
	trust   []byte // PEM of the authority that the balancer's certificate is from; nil where it shows none
	reload  func()
	crash   func() // ended at once and back at once
	drain   func(server string)

	mu   sync.Mutex
	open []*nats.Conn
}

// attempt has a client do what the row says, and closes what it opened.
func (w *way) attempt(do func(*way) seen) seen {
	defer func() {
		for _, nc := range w.open {
			nc.Close()
		}
		w.open = nil
	}()
	return do(w)
}

func TestMain(m *testing.M) {
	// Rows wait far more than they work, but begin with some work.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestTheSimulationAgreesWithRealBalancers(t *testing.T) {
	if testing.Short() {
		t.Skip("integration: starts balancers and servers")
	}
	var mu sync.Mutex
	table := map[string]string{}
	var order []string
	for _, r := range rows() {
		if !present(t, r.real.program) {
			continue
		}
		order = append(order, r.name)
	}
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows() {
			if !slices.Contains(order, r.name) {
				continue
			}
			t.Run(r.name, func(t *testing.T) {
				t.Parallel() // they wait
				a, b := r.behindReal(t), r.behindSimulation(t)
				line := ""
				// Times are measured again where they differ: a busy machine makes them longer, and does not do so
				// three times on the same side only.
				for attempt := 3; line == ""; attempt-- {
					var real, simulated seen
					var both sync.WaitGroup
					both.Go(func() { real = a.attempt(r.do) })
					both.Go(func() { simulated = b.attempt(r.do) })
					both.Wait()
					line = r.compare(t, real, simulated, attempt == 1)
				}
				mu.Lock()
				defer mu.Unlock()
				table[r.name] = line
			})
		}
	})
	if path := os.Getenv("LBTEST_AGREEMENTS"); path != "" {
		lines := []string{"| setting | real | simulated as | both show | differs on purpose |", "| --- | --- | --- | --- | --- |"}
		for _, name := range order {
			lines = append(lines, table[name])
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// present says whether a real balancer is there; where one was asked for, its absence is a failure.
func present(t *testing.T, program string) bool {
	t.Helper()
	_, err := exec.LookPath(program)
	if err == nil {
		return true
	}
	if os.Getenv("LBTEST_REQUIRE_REAL_LB") == "1" {
		t.Errorf("%s is asked for and not here: %v", program, err)
	} else {
		t.Logf("left out: %v (Debian has it as a package)", err)
	}
	return false
}

// compare fails the test where the two differ other than on purpose, and gives the table's line: none if only
// times differ and there is another attempt.
func (r row) compare(t *testing.T, real, simulated seen, last bool) string {
	t.Helper()
	var agree, differ []string
	names := slices.SortedFunc(maps.Keys(real), cmp.Compare)
	if got := slices.SortedFunc(maps.Keys(simulated), cmp.Compare); !slices.Equal(got, names) {
		t.Fatalf("the simulation shows %v, %s shows %v", simulated, r.real.program, real)
	}
	for _, name := range names {
		a, b := real[name], simulated[name]
		same := a == b
		if d, ok := a.(time.Duration); ok {
			other, both := b.(time.Duration)
			same = both && alike(d, other)
			if both && !same && !last {
				t.Logf("%s: %s shows %v, the simulation %v; measured again", name, r.real.program, d, other)
				return ""
			}
			a, b = d.Round(10*time.Millisecond), other.Round(10*time.Millisecond)
		}
		why, intended := r.apart[name]
		switch {
		case same && intended:
			t.Errorf("%s: both show %v, though they are said to differ (%s)", name, a, why)
		case same:
			agree = append(agree, fmt.Sprintf("%s: %v", name, b))
		case intended:
			differ = append(differ, fmt.Sprintf("%s: %v, simulated %v: %s", name, a, b, why))
		default:
			t.Errorf("%s: %s shows %v, the simulation %v", name, r.real.program, a, b)
		}
	}
	t.Logf("agree: %s; differ: %s", strings.Join(agree, ", "), strings.Join(differ, ", "))
	return fmt.Sprintf("| %s | %s | `%s` | %s | %s |", r.name, r.real.program, strings.Join(r.set, " "), strings.Join(agree, ", "), strings.Join(differ, "; "))
}

// behindSimulation starts a row's servers and the simulated balancer before them.
func (r row) behindSimulation(t *testing.T) *way {
	w := &way{T: t, servers: r.server.start(t)}
	p := proxies.Direct()
	for _, s := range r.set {
		name, value, _ := strings.Cut(s, "=")
		var err error
		if p, err = p.With(name, value); err != nil {
			t.Fatal(err)
		}
	}
	lb, err := proxies.Listen(p, []proxies.Front{{Name: "lb"}}, func(e proxies.Event) {
		if os.Getenv("LBTEST_EVENTS") != "" {
			t.Logf("%+v", e)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lb.Close(); err != nil {
			t.Error(err)
		}
	})
	var backends []proxies.Backend
	for _, s := range w.servers {
		backends = append(backends, proxies.Backend{Name: s.name, Addr: s.addr})
	}
	if err := lb.Serve(map[string][]proxies.Backend{"lb": backends}); err != nil {
		t.Fatal(err)
	}
	w.addr = lb.Addr("lb")
	w.trust = lb.Authority()
	strike := func() {
		if err := lb.Strike(context.Background()); err != nil {
			t.Error(err)
		}
	}
	w.reload, w.crash = strike, strike
	w.drain = func(server string) {
		if err := lb.Remove(server); err != nil {
			t.Error(err)
		}
	}
	return w
}
