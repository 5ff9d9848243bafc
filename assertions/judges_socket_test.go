package assertions

import (
	"bytes"
	"maps"
	"testing"
)

func init() {
	maps.Copy(units, map[string]string{
		"upgrades": "connections", "refused": "connections", "compressed": "connections", "slowest_upgrade": "s", "messages_broken": "messages",
	})
}

func byApp(name string) func(*Event) { return func(e *Event) { e.App = name } }

// framesOf is all messages of both clients, each n of them.
func framesOf(n int) []Event {
	var all []Event
	for _, name := range []string{"frames", "compressed frames"} {
		for i := range n {
			all = append(all, on(1+float64(i), Client, "framed", byApp(name), seq(i), many(1<<i), took(0.1)))
		}
	}
	return line(all)
}

func TestUpgradesAreJudged(t *testing.T) {
	judgeAll(t, "websocket/upgrades", []judged{
		{name: "nobody asked", terms: threeNodes(), want: Skipped, got: "no upgrade was asked for"},
		{name: "all upgraded", terms: threeNodes(), events: line(on(1, Client, "upgraded", took(0.02), how("compressed")), on(1, Client, "upgraded", took(0.03))),
			want: Safe, got: "2 upgrades, the slowest in 30ms", measured: map[string]float64{"upgrades": 2, "refused": 0, "compressed": 1, "slowest_upgrade": 0.03}},
		{name: "one refused", terms: threeNodes(), events: line(on(1, Client, "upgraded", took(0.02)), on(1.1, Client, "unupgraded", why("HTTP 400 Bad Request"))),
			want: Unsafe, got: "1 of 2 upgrades failed: HTTP 400 Bad Request", measured: map[string]float64{"refused": 1}},
		{name: "slower than behind nothing", terms: threeNodes(), events: line(on(3, Client, "upgraded", took(2))), control: line(on(1, Client, "upgraded", took(0.02))),
			want: Risky, got: "an upgrade took 2s (control 20ms)"},
		{name: "hardly slower than behind nothing", terms: threeNodes(), events: line(on(3, Client, "upgraded", took(0.6))), control: line(on(1, Client, "upgraded", took(0.02))),
			want: Risky, got: "an upgrade took 600ms (control 20ms)", marginal: true},
		{name: "as slow as behind nothing", terms: threeNodes(), events: line(on(3, Client, "upgraded", took(0.4))), control: line(on(1, Client, "upgraded", took(0.02))),
			want: Safe, got: "1 upgrade, the slowest in 400ms"},
	})
}

func TestFramesAreJudged(t *testing.T) {
	slow := framesOf(10)
	slow[19].Took = secs(3)
	judgeAll(t, "websocket/frames-arrive-whole", []judged{
		{name: "nothing was sent", terms: threeNodes(), want: Skipped, got: "what became of 20 of 20 messages was not written down"},
		{name: "all arrived", terms: threeNodes(), events: framesOf(10), want: Safe, got: "all 20 messages of up to 512 B came through whole, the slowest in 100ms",
			measured: map[string]float64{"messages_sent": 20, "messages_broken": 0, "connections_ended": 0, "slowest_delivery": 0.1}},
		{name: "one client only", terms: threeNodes(), events: framesOf(10)[:10], want: Skipped, got: "what became of 10 of 20 messages was not written down"},
		{name: "one arrived changed", terms: threeNodes(), events: line(framesOf(9), on(12, Client, "garbled", byApp("frames"), many(9000), why("it arrived changed"))),
			want: Unsafe, got: "1 of 19 messages did not come through whole, the smallest of them 8.8 KiB (it arrived changed)", measured: map[string]float64{"messages_broken": 1}},
		{name: "one never arrived", terms: threeNodes(), events: line(framesOf(10), on(12, Client, "unframed", byApp("frames"), many(1<<20), why("the connection ended"))),
			want: Unsafe, got: "1 of 21 messages did not come through whole, the smallest of them 1.0 MiB (the connection ended)"},
		{name: "no client came through", terms: threeNodes(), events: line(on(1, Client, "unframed", byApp("frames"), why("connection reset at once"))),
			want: Unsafe, got: "a client never connected: connection reset at once"},
		{name: "cut, and nothing lost", terms: threeNodes(), events: line(framesOf(10), on(5, Client, "disconnected", byApp("frames"), why("EOF"))),
			want: Risky, got: "all messages came through, but 1 connection ended meanwhile: EOF", measured: map[string]float64{"connections_ended": 1}},
		{name: "slower than behind nothing", terms: threeNodes(), events: slow, control: framesOf(10), want: Risky, got: "all messages came through, but one took 3s (control 100ms)"},
	})
}

// The sizes that are tried have to be those that a server of that max_payload takes.
func TestLettersFitTheServer(t *testing.T) {
	for _, largest := range []int64{2 << 10, 1 << 20, 8 << 20} {
		all, two := letters(largest), letters(largest)
		for i, l := range all {
			if n := int64(len(l.payload)); n == 0 || n >= largest {
				t.Errorf("a letter has %d bytes of at most %d", n, largest)
			}
			if !bytes.Equal(l.payload, two[i].payload) {
				t.Error("the letters differ from one time to the next")
			}
		}
		if len(all) != 10 {
			t.Errorf("%d letters, want 10: five sizes, two ways", len(all))
		}
	}
}
