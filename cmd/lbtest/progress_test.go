package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
)

// told plays a run of two minutes in which nothing ends for most of the time.
func told(s screen, quiet, verbose bool) string {
	var out bytes.Buffer
	p := watch(&out, s, quiet, verbose)
	p.say(suite.Progress{Kind: "started", Scenario: "t/a", Total: 2, Running: 1})
	p.say(suite.Progress{Kind: "note", Scenario: "t/a", Text: "time divided by 20", Total: 2, Running: 1})
	time.Sleep(10 * time.Second)
	p.say(suite.Progress{At: 10 * time.Second, Kind: "finished", Scenario: "t/a", Verdict: assertions.Unsafe, Text: "118 messages lost", Done: 1, Total: 2})
	p.say(suite.Progress{At: 10 * time.Second, Kind: "started", Scenario: "t/b", Done: 1, Total: 2, Running: 1})
	time.Sleep(65 * time.Second)
	if _, err := p.Write([]byte("level=WARN msg=odd\n")); err != nil {
		return err.Error()
	}
	p.say(suite.Progress{At: 75 * time.Second, Kind: "finished", Scenario: "t/b", Verdict: assertions.Safe, Done: 2, Total: 2})
	p.end()
	return out.String()
}

func TestPlainProgressNeverStaysSilentForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := `[    0.0s] started t/a
[   10.0s] UNSAFE  t/a: 118 messages lost
[   10.0s] started t/b
[   40.0s] running 1, 1 of 2 done
[   70.0s] running 1, 1 of 2 done
level=WARN msg=odd
[   75.0s] safe    t/b
`
		if got := told(screen{}, false, false); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestVerboseProgressHasNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got := told(screen{}, false, true); !strings.Contains(got, "[    0.0s] t/a: time divided by 20\n") {
			t.Errorf("got\n%s", got)
		}
	})
}

func TestQuietProgressIsOnlyTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, s := range []screen{{}, {terminal: true}} {
			if got := told(s, true, true); got != "level=WARN msg=odd\n" {
				t.Errorf("got %q", got)
			}
		}
	})
}

func TestLiveProgressRedrawsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const width = 60
		got := told(screen{terminal: true, Style: report.Style{Unicode: true, Width: width}}, false, false)
		// What a terminal shows: text after the last time each line was erased.
		var lines []string
		for _, l := range strings.Split(got, "\n") {
			drawn := strings.Split(l, "\r\x1b[2K")
			for _, d := range drawn[:len(drawn)-1] {
				if n := len([]rune(d)); n >= width {
					t.Errorf("the live line is %d wide: %s", n, d)
				}
			}
			lines = append(lines, drawn[len(drawn)-1])
		}
		want := []string{"UNSAFE  t/a: 118 messages lost", "level=WARN msg=odd", "safe    t/b", ""}
		if strings.Join(lines, "\n") != strings.Join(want, "\n") {
			t.Errorf("it leaves %q, want %q", lines, want)
		}
		if live := "1/2 ██████████░░░░░░░░░░ running 1 · worst so far unsafe"; !strings.Contains(got, live) {
			t.Errorf("there is no %q in %q", live, got[:1000])
		}
		wide := told(screen{terminal: true}, false, false)
		if !regexp.MustCompile(`1/2 #{10}\.{10} running 1 \| worst so far unsafe \| 20s, about 20s left`).MatchString(wide) {
			t.Error("there is no estimate after 20 s")
		}
	})
}
