package suite

import (
	"testing"
	"time"
)

func TestTimeIsShortenedOnlyWhileTimersKeepTheirOrder(t *testing.T) {
	const ping = 30 * time.Second
	for _, c := range []struct {
		name   string
		timers timers
		wanted float64
		want   float64
	}{
		{"a timeout far below the ping stays above the servers' first ping", timers{idle: 5 * time.Second, pings: one(ping), greeting: firstPing}, 100, 3.8},
		{"a timeout below the ping", timers{idle: 20 * time.Second, pings: one(ping), greeting: firstPing}, 100, 15.3},
		{"a timeout just above the ping is kept half a second away from it", timers{idle: 35 * time.Second, pings: one(ping), greeting: firstPing}, 100, 10},
		{"a timeout well above the ping", timers{idle: 60 * time.Second, pings: one(ping), greeting: firstPing}, 100, 46.1},
		{"a timeout far above the ping is limited by the ping itself", timers{idle: 350 * time.Second, pings: one(ping), greeting: firstPing}, 100, 50},
		{"a timeout equal to the ping is a race and takes its own time", timers{idle: ping, pings: one(ping), greeting: firstPing}, 100, 1},
		{"pings of 2 s below a timeout of 5 s", timers{idle: 5 * time.Second, pings: one(2 * time.Second), greeting: firstPing}, 100, 3.3},
		{"pings of 8 s below a timeout of 20 s", timers{idle: 20 * time.Second, pings: one(8 * time.Second), greeting: firstPing}, 100, 13.3},
		{"a timeout shorter than a second takes its own time", timers{idle: 200 * time.Millisecond, pings: one(ping), greeting: firstPing}, 100, 1},
		{"a factor that was asked for is not exceeded", timers{idle: 350 * time.Second, pings: one(ping), greeting: firstPing}, 10, 10},
		{"a factor that was asked for is lowered", timers{idle: 35 * time.Second, pings: one(ping), greeting: firstPing}, 60, 10},
		{"real time stays real", timers{idle: 350 * time.Second, pings: one(ping), greeting: firstPing}, 1, 1},
		{"a lifetime leaves room for making routes again", timers{lifetime: time.Minute, pings: one(ping), greeting: firstPing}, 100, 20},
		{"what is said between a timeout and the ping has to be said", timers{idle: 12 * time.Second, pings: one(15 * time.Second), greeting: firstPing, chatter: statistics}, 100, 1},
		{"what is said more rarely than a timeout does not matter", timers{idle: 8 * time.Second, pings: one(15 * time.Second), greeting: firstPing, chatter: statistics}, 100, 6.1},
		{"nor does what is said beside pings that are frequent enough", timers{idle: 20 * time.Second, pings: one(15 * time.Second), greeting: firstPing, chatter: statistics}, 100, 10},
		{"pings are not missed while the balancer waits", timers{pings: one(15 * time.Second), greeting: firstPing, patience: 5 * time.Second}, 100, 3},
		{"nothing but pings", timers{pings: one(ping), greeting: firstPing}, 100, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.timers.factor(c.wanted)
			if got != c.want {
				t.Errorf("factor: got %v, want %v", got, c.want)
			}
			if i := c.timers.idle; i > 0 && got > 1 {
				if gap := time.Duration(float64((i - c.timers.pings[0]).Abs()) / got); gap < 250*time.Millisecond {
					t.Errorf("timers are %s apart, the contract wants 250ms", gap)
				}
			}
		})
	}
}

func TestTimeScaleIsAutoOrAFactor(t *testing.T) {
	for given, want := range map[string]float64{"": fastest, "auto": fastest, "1": 1, "2.5": 2.5} {
		if f, err := parseScale(given); err != nil || f != want {
			t.Errorf("%q: got %v %v, want %v", given, f, err, want)
		}
	}
	for _, given := range []string{"0", "0.5", "-1", "fast", "NaN", "Inf", "10x"} {
		if _, err := parseScale(given); err == nil {
			t.Errorf("%q was accepted", given)
		}
	}
}

func one(d time.Duration) []time.Duration { return []time.Duration{d} }
