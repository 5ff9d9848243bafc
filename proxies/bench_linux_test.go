package proxies_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// variant is one way from a client to the backends.
type variant struct {
	name     string
	*process // the balancer; nil for none
	at       addresses
	wants    func(load, metric string) *target // nil for nothing
}

// The metrics. Each load has some of them.
const (
	rate    = "rate"
	cpuEach = "cpu"
	p50     = "p50"
	p99     = "p99"
)

// units of the metrics of each load, in the order of the table.
var units = []struct{ load, metric, what string }{
	{"16 B", rate, "thousand messages a second, 16 B"},
	{"1 KB", rate, "thousand messages a second, 1 KB"},
	{"64 KB", rate, "thousand messages a second, 64 KB"},
	{"16 B", cpuEach, "balancer's CPU, ns a message of 16 B"},
	{"1 KB", cpuEach, "balancer's CPU, ns a message of 1 KB"},
	{"64 KB", cpuEach, "balancer's CPU, ns a message of 64 KB"},
	{"request", p50, "request and reply of 128 B, µs, median"},
	{"request", p99, "request and reply of 128 B, µs, 99th percentile"},
	{"request", cpuEach, "balancer's CPU, µs a request and reply"},
	{"connect", rate, "new NATS connections a second"},
	{"connect", cpuEach, "balancer's CPU, µs a new connection"},
	{"bulk", rate, "MB a second in one stream"},
	{"bulk", cpuEach, "balancer's CPU, ns a KB in one stream"},
}

// target is what a ratio to HAProxy, or a figure by itself, may be.
type target struct {
	of          string  // what it is asked of, where that is not plain from the line
	least, most float64 // 0: none
	quartile    bool    // it suffices that the quartile nearer to the target keeps it
}

func (g target) String() string {
	s := g.of
	if g.least > 0 {
		s += fmt.Sprintf("at least %.5g", g.least)
	} else {
		s += fmt.Sprintf("at most %.5g", g.most)
	}
	if g.quartile {
		s += " within the quartiles"
	}
	return s
}

// kept judges sorted values.
func (g target) kept(sorted []float64) bool {
	low, mid, high := quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)
	if g.quartile {
		return (g.least == 0 || high >= g.least) && (g.most == 0 || low <= g.most)
	}
	return (g.least == 0 || mid >= g.least) && (g.most == 0 || mid <= g.most)
}

// asPlain, asFiltered and asToxic are the targets of the three lanes, as ratios to HAProxy in the same round.
func asPlain(load, metric string) *target {
	switch {
	case metric == cpuEach && (load == "1 KB" || load == "64 KB"):
		return &target{most: 1}
	case metric == rate && load == "bulk":
		return &target{least: 1.3}
	case metric == rate && load == "connect":
		return &target{least: 0.9}
	case metric == rate:
		return &target{least: 1, quartile: true}
	case metric == p50:
		return &target{most: 1}
	case metric == p99:
		return &target{most: 1.1}
	}
	return nil
}

func asFiltered(load, metric string) *target {
	if metric == rate && load != "connect" {
		return &target{least: 0.95}
	}
	return nil
}

func asToxic(load, metric string) *target {
	switch {
	case metric == rate && load != "connect":
		return &target{least: 0.9}
	case metric == p50:
		return &target{most: 1.15}
	}
	return nil
}

// Every standing setting that touches no byte, in an ordinary amount.
var (
	plainSettings    = []string{"idle-timeout=350s", "max-lifetime=24h", "balance=least-connections", "max-connections=9900", "source-ports=28000", "proxy-protocol=v1"}
	filteredSettings = []string{"inspection=signature", "inspection-pattern=hex:deadbeefdeadbeef"}
	toxicSettings    = []string{"bandwidth=1TB/s"} // a toxic at work that holds nothing up
)

// reference is whom the ratios are with.
const reference = "HAProxy"

// TestCompare compares balancers in one alternating run: `make bench`. On a busy machine two identical
// paths differ by a factor of two from one run to the next, so all of them run, take their turns in an order that
// rotates, and are compared within each round.
func TestCompare(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("LBTEST_BENCH_ROUNDS"))
	if err != nil || rounds < 1 {
		t.Skip("make bench runs it")
	}
	only := regexp.MustCompile(os.Getenv("LBTEST_BENCH_LOADS")) // all, if it is empty
	runtime.LockOSThread()
	program := os.Getenv("LBTEST_BENCH_PROGRAM") // to measure another build
	if program == "" {
		program = buildLbtest(t)
	}
	_, backends := played(t, "backends")

	all := []*variant{{name: "direct", at: backends}}
	add := func(name string, wants func(load, metric string) *target, p *process, at addresses) {
		all = append(all, &variant{name, p, at, wants})
	}
	p, at := played(t, "toxiproxy", backends.Nats, backends.TCP)
	add("toxiproxy as it comes", nil, p, at)
	p, at = haproxy(t, backends, time.Hour)
	add(reference, nil, p, at)
	p, at = lbtest(t, program, backends, plainSettings...)
	add("lbtest", asPlain, p, at)
	p, at = lbtest(t, program, backends, append(slices.Clone(plainSettings), filteredSettings...)...)
	add("lbtest, one byte filter", asFiltered, p, at)
	p, at = lbtest(t, program, backends, append(slices.Clone(plainSettings), toxicSettings...)...)
	add("lbtest, one toxic", asToxic, p, at)

	sayWhere(t)
	got := map[string][]measures{} // by variant and load, one a round
	turn := 0
	for round := range rounds {
		for _, l := range loads {
			if !only.MatchString(l.name) {
				continue
			}
			turn++
			for i := range all {
				v := all[(i+turn)%len(all)]
				m, err := l.run(v)
				if err != nil {
					t.Fatalf("%s through %s: %v", l.name, v.name, err)
				}
				got[v.name+l.name] = append(got[v.name+l.name], m)
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
	}
	for _, v := range all {
		v.end()
	}

	var met, missed int
	for _, u := range units {
		if !only.MatchString(u.load) {
			continue
		}
		fmt.Printf("\n%s\n", u.what)
		for _, v := range all {
			if v.process == nil && u.metric == cpuEach {
				continue
			}
			values, ratios := series(got[v.name+u.load], got[reference+u.load], u.metric)
			line := fmt.Sprintf("  %-24s %9s", v.name, figure(quantile(values, 0.5)))
			if v.name != reference {
				line += fmt.Sprintf("   x %.2f (%.2f to %.2f)", quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75))
			}
			if v.wants != nil {
				if b := v.wants(u.load, u.metric); b != nil {
					line += judged(*b, ratios, &met, &missed)
				}
			}
			fmt.Println(line)
		}
	}
	fmt.Println("\n(medians; x is the median, and in brackets the quartiles, of the ratios to HAProxy within one round)")

	if only.MatchString("memory") {
		compareMemory(t, program, backends, &met, &missed)
	}
	if only.MatchString("idle") {
		compareIdle(t, program, backends, &met, &missed)
	}
	if only.MatchString("many") {
		compareMany(t, program, &met, &missed)
	}
	fmt.Printf("\n%d targets met, %d not met\n", met, missed)
}

// sayWhere says what the figures were measured with, and how busy the machine was before: besides a load of other
// programs' they mean little.
func sayWhere(t *testing.T) {
	version, err := exec.Command("haproxy", "-v").Output()
	if err != nil {
		t.Fatal(err)
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	fmt.Printf("%s; %s; %d processors; load average at the start %s\n", first, runtime.Version(), runtime.NumCPU(), strings.Join(strings.Fields(string(load))[:3], " "))
}

// series gives a metric's values and its ratios to the reference of the same round, each sorted.
func series(own, reference []measures, metric string) (values, ratios []float64) {
	for i, m := range own {
		values = append(values, m[metric])
		if i < len(reference) && reference[i][metric] > 0 {
			ratios = append(ratios, m[metric]/reference[i][metric])
		}
	}
	slices.Sort(values)
	slices.Sort(ratios)
	return values, ratios
}

func judged(b target, values []float64, met, missed *int) string {
	if b.kept(values) {
		*met++
		return fmt.Sprintf("   %s: met", b)
	}
	*missed++
	return fmt.Sprintf("   %s: NOT MET", b)
}

func figure(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// compareMemory opens connections and uses them, each balancer a process that has done nothing else.
func compareMemory(t *testing.T, program string, behind addresses, met, missed *int) {
	const connections = 3000
	fmt.Printf("\nKB of memory a connection, of %d: opened, after %d KB each way\n", connections, exchanged>>10)
	for _, v := range []struct {
		name  string
		start func() (*process, addresses)
		most  float64
	}{
		{"toxiproxy as it comes", func() (*process, addresses) { return played(t, "toxiproxy", behind.Nats, behind.TCP) }, 0},
		{reference, func() (*process, addresses) { return haproxy(t, behind, time.Hour) }, 0},
		{"lbtest", func() (*process, addresses) { return lbtest(t, program, behind, plainSettings...) }, 3.3},
		{"lbtest, portable", func() (*process, addresses) {
			return lbtest(t, buildLbtest(t, "-tags", "portable"), behind, plainSettings...)
		}, 12},
		{"lbtest, one toxic", func() (*process, addresses) {
			return lbtest(t, program, behind, append(slices.Clone(plainSettings), toxicSettings...)...)
		}, 0},
	} {
		func() {
			p, at := v.start()
			defer p.end()
			warm, err := holding(at.TCP, 100) // what the first connections cost once
			if err == nil {
				err = warm.swap()
			}
			warm.drop()
			if err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
			time.Sleep(time.Second)
			empty := must(t, p)
			all, err := holding(at.TCP, connections)
			defer all.drop()
			if err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
			time.Sleep(time.Second)
			opened := (must(t, p) - empty) / connections
			if err := all.swap(); err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
			time.Sleep(time.Second)
			used := (must(t, p) - empty) / connections
			line := fmt.Sprintf("  %-24s %9s %9s", v.name, figure(opened), figure(used))
			if v.most > 0 {
				line += judged(target{most: v.most}, []float64{max(opened, used)}, met, missed)
			}
			fmt.Println(line)
		}()
	}
}

// compareIdle lets many connections expire and measures how late they do, and that so many can be.
func compareIdle(t *testing.T, program string, behind addresses, met, missed *int) {
	const connections, timeout, spread = 9000, 8 * time.Second, 3 * time.Second
	fmt.Printf("\nms after an idle timeout of %v that one of %d connections is ended: earliest, median, 99th percentile, latest\n", timeout, connections)
	for _, v := range []struct {
		name  string
		start func() (*process, addresses)
		mine  bool
	}{
		{reference, func() (*process, addresses) { return haproxy(t, behind, timeout) }, false},
		{"lbtest", func() (*process, addresses) { return lbtest(t, program, behind, "idle-timeout="+timeout.String()) }, true},
	} {
		func() {
			p, at := v.start()
			defer p.end()
			began := time.Now()
			all, err := holding(at.TCP, connections)
			defer all.drop()
			if err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
			if took := time.Since(began); took > timeout-spread-time.Second/2 {
				t.Fatalf("%s: opening took %v: the first would expire before they say their last", v.name, took)
			}
			late, err := all.lateness(timeout, spread)
			if err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
			line := fmt.Sprintf("  %-24s %9s %9s %9s %9s", v.name, figure(late[0]), figure(quantile(late, 0.5)), figure(quantile(late, 0.99)), figure(late[len(late)-1]))
			if v.mine {
				line += judged(target{of: "earliest ", least: 0.001}, late[:1], met, missed) +
					judged(target{of: "median ", most: 1.5}, late, met, missed) +
					judged(target{of: "99th ", most: 5}, []float64{quantile(late, 0.99)}, met, missed)
			}
			fmt.Println(line)
		}()
	}
}

// compareMany has idle NATS clients at one address: as many as one process can hold, and more than that over several.
func compareMany(t *testing.T, program string, met, missed *int) {
	fmt.Println("\nidle NATS clients at one address of lbtest: connected, KB each, still there and answering after a while")
	// A process has 20,000 file descriptors, of which a balancer takes two a connection; a nats-server and a process of
	// clients take one.
	for _, c := range []struct{ clients, balancers, parts int }{{9900, 1, 1}, {20000, 3, 2}} {
		func() {
			var behind []string
			for range c.parts {
				p, at := played(t, "backends")
				defer p.end()
				behind = append(behind, at.Nats)
			}
			address, empty := "127.0.0.1:0", 0.0
			var balancers []*process
			for range c.balancers {
				var p *process
				p, address = sharing(t, program, address, behind...)
				defer p.end()
				balancers = append(balancers, p)
				empty += must(t, p)
			}
			began := time.Now()
			var clients []*process
			for range c.parts {
				p := spawn(t, 1, []string{roleKey + "=clients"}, os.Args[0], "nats://"+address, strconv.Itoa(c.clients/c.parts))
				defer p.end()
				clients = append(clients, p)
			}
			counted := func() (sum float64) {
				for _, p := range clients {
					var n int
					if _, err := fmt.Fscanln(p.said, &n); err != nil {
						t.Fatalf("a process of %d clients: %v", c.clients/c.parts, err)
					}
					sum += float64(n)
				}
				return sum
			}
			connected := counted()
			took := time.Since(began)
			time.Sleep(idling)
			used := -empty
			for _, p := range balancers {
				used += must(t, p)
			}
			for _, p := range clients {
				fmt.Fprintln(p.told, "who is there?")
			}
			fmt.Printf("  %-24s %9.0f in %.1f s, %s KB each", fmt.Sprintf("lbtest, %d of them", c.balancers), connected, took.Seconds(), figure(used/connected))
			there := counted()
			fmt.Printf("; after %v: %.0f%s\n", idling, there, judged(target{least: float64(c.clients)}, []float64{there}, met, missed))
		}()
	}
}

// idling is how long idle clients are left alone: well beyond the server's first ping, which comes after two seconds.
const idling = 10 * time.Second

func must(t *testing.T, p *process) float64 {
	t.Helper()
	kb, err := p.resident()
	if err != nil {
		t.Fatal(err)
	}
	return kb
}
