package proxies

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestCredit(t *testing.T) {
	type asked struct {
		at   time.Duration
		n    int
		now  int
		wait time.Duration // rounded down to milliseconds
	}
	const ms = time.Millisecond
	for _, c := range []struct {
		what        string
		rate, burst float64
		asked       []asked
	}{
		{"credit passes at once, then the rate applies", 1000, 500, []asked{{0, 300, 300, 0}, {0, 300, 200, 0}, {0, 100, 0, 100 * ms}, {100 * ms, 100, 100, 0}, {100 * ms, 1, 0, ms}}},
		{"large pieces pass in parts of a tenth of a second", 1000, 500, []asked{{0, 500, 500, 0}, {0, 4000, 0, 100 * ms}, {99 * ms, 4000, 0, ms}, {100 * ms, 4000, 100, 0}}},
		{"credit comes back while unused, and no more than there was", 1000, 500, []asked{{0, 500, 500, 0}, {250 * ms, 250, 250, 0}, {10 * time.Second, 900, 500, 0}, {10 * time.Second, 400, 0, 100 * ms}}},
		{"less credit than a tenth of a second is enough", 1000, 10, []asked{{0, 4000, 10, 0}, {0, 4000, 0, 10 * ms}, {10 * ms, 4000, 10, 0}}},
		{"a clock that goes back earns nothing", 1000, 100, []asked{{time.Second, 100, 100, 0}, {0, 10, 0, 10 * ms}}},
	} {
		credit := credit{rate: c.rate, burst: c.burst}
		begin := time.Unix(1000, 0)
		for i, a := range c.asked {
			now, wait := credit.pass(a.n, begin.Add(a.at))
			if now != a.now || wait.Truncate(time.Millisecond) != a.wait {
				t.Errorf("%s: question %d: got %d and %s, want %d and %s", c.what, i, now, wait, a.now, a.wait)
			}
		}
	}
}

// transfer sends n bytes from one end to the other and says how long that took.
func transfer(t *testing.T, from, to net.Conn, n int) time.Duration {
	t.Helper()
	began := time.Now()
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, n))
		sent <- err
	}()
	to.SetReadDeadline(began.Add(2 * patience))
	if _, err := io.CopyN(io.Discard, to, int64(n)); err != nil {
		t.Error("receiving:", err)
	}
	if err := <-sent; err != nil {
		t.Error("sending:", err)
	}
	return time.Since(began)
}

func TestBandwidthLimitsEachDirection(t *testing.T) {
	l := start(t, with(t, "bandwidth=1MB/s"))
	client, server := l.connect()
	for _, way := range []struct {
		name     string
		from, to net.Conn
	}{{"up", client, server}, {"down", server, client}} {
		// Half a second's worth, of which a tenth may pass early: toxiproxy rounds by its pieces.
		if took := transfer(t, way.from, way.to, 500_000); took < 400*time.Millisecond || took > patience {
			t.Errorf("500 KB %s at 1 MB/s took %s", way.name, took)
		}
	}
	if got := l.event(KindApplied); got.Why != bandwidth || got.What != "at most 1MB/s each way" {
		t.Errorf("got %s %q", got.Why, got.What)
	}
}

func TestBurstPassesAtFullSpeedFirst(t *testing.T) {
	l := start(t, with(t, "bandwidth=1KB/s", "burst=1MB"))
	began := time.Now()
	client, server := l.connect()
	// At 1 KB/s this would take a quarter of an hour.
	if took := transfer(t, client, server, 1_000_000-len("hello")); took > patience {
		t.Errorf("the burst took %s", took)
	}
	transfer(t, client, server, 600)
	if took := time.Since(began); took < 500*time.Millisecond { // from the beginning: credit comes back while the burst moves
		t.Errorf("600 bytes at 1 KB/s more than the burst were there after %s", took)
	}
	until(t, "the burst used up", func() (bool, string) {
		for _, e := range l.all() {
			if e.Kind == KindApplied && e.Why == burst {
				return e.What == "upstream has used it up", e.What
			}
		}
		return false, "no event"
	})
	if took := transfer(t, server, client, 900_000); took > patience {
		t.Errorf("the other direction's burst took %s", took)
	}
}

func TestBytesAndRatesAreReadExactly(t *testing.T) {
	for given, want := range map[string]string{
		"10MB/s": "10MB/s", "500KB/s": "500KB/s", "500kB/s": "500KB/s", "1.5MB/s": "1500KB/s", "125MiB/s": "125MiB/s", "2000B/s": "2KB/s", "10 MB/s": "10MB/s", "none": "none",
	} {
		if got := with(t, "bandwidth="+given).Value(bandwidth); got != want {
			t.Errorf("bandwidth=%s became %s, want %s", given, got, want)
		}
	}
	for given, want := range map[string]string{
		"1500": "1500B", "64KB": "64KB", "64KiB": "64KiB", "1.001KB": "1001B", "9007199254740993": "9007199254740993B", "none": "none",
	} {
		if got := with(t, "burst="+given).Value(burst); got != want {
			t.Errorf("burst=%s became %s, want %s", given, got, want)
		}
	}
	for given, want := range map[string]string{
		"bandwidth=1MiB/s":         "toxiproxy limits to whole KB/s (1,000 bytes a second): 1049KB/s?",
		"bandwidth=10MB":           "bytes a second: 10MB/s?",
		"bandwidth=1000":           "need a unit: 1000B/s?",
		"bandwidth=1000/s":         "need a unit: 1000B/s?",
		"bandwidth=10Mb/s":         "such as 10MB/s or 500KB/s, with a capital B",
		"burst=10Mb":               "Mb may mean bits; bytes have a capital B: 10MB?",
		"bandwidth=100Mbit/s":      "100Mbit/s is 12.5MB/s",
		"bandwidth=off":            "to turn it off, bandwidth=none",
		"bandwidth=0KB/s":          "not a number of bytes a second above zero",
		"bandwidth=1,5MB/s":        "not a number of bytes a second",
		"bandwidth=-1MB/s":         "not a number of bytes a second",
		"burst=1.5":                "not a whole number of bytes",
		"burst=99999999999999TB":   "not a number of bytes",
		"burst=1XB":                "units are B, KB",
		"burst=1MB":                "burst=1MB has no effect without a bandwidth that applies after it",
		"slice=100KB":              "no piece that crosses a balancer is larger than 64KiB",
		"bandwidth=1MB/s burst=0B": "must be more than zero",
	} {
		refuses(t, given, want)
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"10MB/s", "1.5KB/s", "1KiB/s", "none", "/s", "1e9B/s", "99999999999999999999GB/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		rate, err := parseRate(bandwidth, value)
		if err != nil {
			return
		}
		again, err := parseRate(bandwidth, Bandwidth{Rate: rate}.Value(bandwidth))
		if err != nil || again != rate || rate < 0 || rate%kilo != 0 {
			t.Errorf("%q is %d, written and read again %d and %v", value, rate, again, err)
		}
	})
}
