package suite

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
)

// TestThroughputIsComparedWithTheDirectWay looks at a real server behind a balancer that is narrow, very narrow, and as
// wide as the direct way is. A narrow way breaks no promise: it is told, and no verdict.
func TestThroughputIsComparedWithTheDirectWay(t *testing.T) {
	if testing.Short() {
		t.Skip("real servers")
	}
	said := regexp.MustCompile(`^(\d+) % of the direct way's: ([0-9.]+) MB/s through the balancer, ([0-9.]+) MB/s past it`)
	for _, c := range []struct {
		name        string
		settings    []string
		least, most float64 // per cent of the direct way
		pace        float64 // MB/s through the balancer at the most; 0: any
	}{
		{"narrow", []string{"bandwidth=4MB/s"}, 0, 60, 6}, // half as much again for what buffers hold
		// Balancer, server and tester share this process, and the detour costs it as much again as the direct way.
		{"wide", nil, 25, 300, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, serve := standing(t, "", c.settings...)
			s := natsd(t, nil)
			serve([]*server.Server{s})
			a := at(addr)
			a.Direct = "nats://" + s.Addr().String()
			for range 3 { // a machine that is too busy is asked again
				l := look(t, a)
				fact := factOf(l.Report, "throughput")
				parts := said.FindStringSubmatch(fact)
				if parts == nil {
					t.Logf("throughput: %q", fact)
					continue
				}
				var got [3]float64
				for i, text := range parts[1:] {
					got[i], _ = strconv.ParseFloat(text, 64) // digits, as the expression has it
				}
				if got[0] >= c.least && got[0] <= c.most && (c.pace == 0 || got[1] <= c.pace) && l.Verdict == assertions.Safe && l.ExitCode(report.FailOnUnsafe) == 0 {
					return
				}
				t.Logf("%s: %s", l.Verdict, fact)
			}
			t.Errorf("want %.0f to %.0f %%, and a verdict that is safe", c.least, c.most)
		})
	}
}
