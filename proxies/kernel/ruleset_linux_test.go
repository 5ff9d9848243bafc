package kernel

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lbtest/lbtest/proxies"
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestThePlanIsRules(t *testing.T) {
	behind := []backend{{"n1", at("10.2.0.1:4222")}, {"n2", at("10.3.0.1:4222")}}
	own := func(a netip.Addr) netip.Addr { return a.Next() }
	for _, c := range []struct {
		name, settings string
		fronts         []front
		change         func(*plan)
		want           []string // all its rules
	}{
		{name: "nothing is served", fronts: []front{{name: "lb", port: 20000}}, want: []string{
			"meta l4proto tcp ct state invalid log group 2 reject with tcp reset",
			"meta l4proto tcp ct state invalid log group 2 reject with tcp reset",
			"icmp type redirect drop", "meta mark 0x6c62 notrack",
		}},
		{name: "turns, and a port range towards each", settings: "source-ports=20", fronts: []front{{"lb", 20000, behind}}, want: []string{
			"meta l4proto tcp tcp dport 20000 ct state new log group 1",
			"meta l4proto tcp tcp dport 20000 dnat to numgen inc mod 2 map { 0 : 10.2.0.1 . 4222, 1 : 10.3.0.1 . 4222 }",
			"meta l4proto tcp ip daddr 10.2.0.1 tcp dport 4222 ct status dnat snat to 10.2.0.2:32768-32787",
			"meta l4proto tcp ip daddr 10.3.0.1 tcp dport 4222 ct status dnat snat to 10.3.0.2:32768-32787",
			"meta l4proto tcp ct state invalid log group 2 reject with tcp reset",
			"meta l4proto tcp ct state invalid log group 2 reject with tcp reset",
			"icmp type redirect drop", "meta mark 0x6c62 notrack",
		}},
		{name: "silence, one unplugged, a hash", settings: "idle-timeout=1h idle-expiry=silent balance=source-hash", fronts: []front{{"lb", 20000, behind}, {"n1", 20001, behind[:1]}},
			change: func(p *plan) { p.unplugged = []netip.Addr{behind[0].at.Addr()} }, want: []string{
				"meta l4proto tcp tcp dport 20000 ct state new log group 1",
				"meta l4proto tcp tcp dport 20001 ct state new log group 1",
				"meta l4proto tcp tcp dport 20000 dnat to jhash ip saddr mod 2 map { 0 : 10.2.0.1 . 4222, 1 : 10.3.0.1 . 4222 }",
				"meta l4proto tcp tcp dport 20001 dnat to 10.2.0.1:4222",
				"meta l4proto tcp ip daddr 10.2.0.1 tcp dport 4222 ct status dnat snat to 10.2.0.2:32768-60999",
				"meta l4proto tcp ip daddr 10.3.0.1 tcp dport 4222 ct status dnat snat to 10.3.0.2:32768-60999",
				"meta l4proto tcp ct state invalid log group 2 drop",
				"ip saddr 10.2.0.1 drop", "ip daddr 10.2.0.1 drop",
				"meta l4proto tcp ct state invalid log group 2 drop",
				"icmp type redirect drop", "meta mark 0x6c62 notrack",
			}},
		{name: "an outage tells, whatever the manner", settings: "idle-timeout=1h idle-expiry=silent", fronts: []front{{"lb", 20000, behind}}, change: func(p *plan) { p.out = true }, want: []string{
			"meta l4proto tcp ct state invalid log group 2 reject with tcp reset",
			"meta l4proto tcp ct state invalid log group 2 reject with tcp reset",
			"icmp type redirect drop", "meta mark 0x6c62 notrack",
		}},
	} {
		p, _ := given(t, strings.Fields(c.settings)...)
		plan := planned(p, c.fronts)
		plan.own = own
		if c.change != nil {
			c.change(&plan)
		}
		var got []string
		for _, chain := range plan.chains() {
			for _, r := range chain.rules {
				got = append(got, r.String())
				if !strings.Contains(plan.String(), "\t\t"+r.String()+"\n") {
					t.Errorf("%s: the text leaves out %s", c.name, r)
				}
			}
		}
		if d := cmp.Diff(got, c.want); d != "" {
			t.Errorf("%s: got -, want +:\n%s", c.name, d)
		}
	}
}

func TestPortRangesHaveTheirSize(t *testing.T) {
	for count, want := range map[int]portRange{1: {32768, 32768}, 28232: {32768, 60999}, 28233: {1024, 29256}, 64512: {1024, 65535}} {
		if got := ports(count); got != want {
			t.Errorf("%d ports: got %v, want %v", count, got, want)
		}
	}
}

// TestWhatTheTableTellsBecomesEvents goes through lives of a connection by hand.
func TestWhatTheTableTellsBecomesEvents(t *testing.T) {
	const idle = 10 * time.Second
	client, frontend := at("10.1.0.1:5000"), at("10.1.0.2:20000")
	local, backendAt := at("10.2.0.2:40000"), at("10.2.0.1:4222")
	e := func(state tcpState, initiator string) entry {
		return entry{orig: ends{client, frontend}, reply: ends{backendAt, local}, state: state, initiator: initiator}
	}
	start := time.Now()
	for _, c := range []struct {
		name   string
		manner proxies.Ending
		live   func(f *flows, at func(s float64) time.Time)
		want   string
	}{
		{"the client closes", proxies.ResetOnNext, func(f *flows, at func(float64) time.Time) {
			f.changed(at(0), e(synSent, ""))
			f.changed(at(0), e(established, ""))
			f.changed(at(1), e(finWait, "client"))
			f.changed(at(2), e(timeWait, "client"))
			f.ended(at(2), ends{client, frontend}, [2]traffic{{4, 4*52 + 8 + 10}, {3, 3*52 + 8 + 20}})
			f.destroyed(at(100), e(0, ""))
		}, "begin, end fin client"},
		{"nobody listens behind", proxies.ResetOnNext, func(f *flows, at func(float64) time.Time) {
			f.changed(at(0), e(synSent, ""))
			f.changed(at(0), e(closed, ""))
			f.ended(at(0), ends{client, frontend}, [2]traffic{})
		}, "refused rst connection refused"},
		{"nobody answers behind", proxies.ResetOnNext, func(f *flows, at func(float64) time.Time) {
			f.changed(at(0), e(synSent, ""))
			f.destroyed(at(120), e(0, ""))
		}, "refused silent no answer"},
		{"forgotten, then both ends speak", proxies.ResetOnNext, func(f *flows, at func(float64) time.Time) {
			f.changed(at(0), e(established, ""))
			f.destroyed(at(10), e(0, ""))
			f.stray(at(11), packet{ends: ends{client, frontend}})
			f.stray(at(11), packet{ends: ends{client, frontend}})
			f.stray(at(12), packet{ends: ends{backendAt, local}})
		}, "begin, expired rst-on-next idle-timeout, gave-up rst client, gave-up rst server, end rst-on-next idle-timeout"},
		{"a packet tells before the table does", proxies.ResetOnNext, func(f *flows, at func(float64) time.Time) {
			f.changed(at(0), e(established, ""))
			f.stray(at(10), packet{ends: ends{backendAt, local}})
			f.destroyed(at(10), e(0, ""))
		}, "begin, expired rst-on-next idle-timeout, gave-up rst server"},
		{"in silence only a FIN says that an end is done", proxies.Vanish, func(f *flows, at func(float64) time.Time) {
			f.changed(at(0), e(established, ""))
			f.destroyed(at(10), e(0, ""))
			f.stray(at(11), packet{ends: ends{client, frontend}})
			f.stray(at(12), packet{ends: ends{client, frontend}, fin: true})
			f.end(at(20))
		}, "begin, expired silent idle-timeout, gave-up fin client, end silent idle-timeout"},
		{"the table is emptied before its beginning is heard of", proxies.ResetOnNext, func(f *flows, at func(float64) time.Time) {
			f.forgetAll(at(0), "restart")
			f.changed(at(0.1), e(established, ""))
			f.destroyed(at(0.1), e(0, ""))
			f.end(at(1))
		}, "begin, end rst-on-next restart"},
		{"its ports are used again", proxies.ResetOnNext, func(f *flows, at func(float64) time.Time) {
			f.changed(at(0), e(established, ""))
			f.destroyed(at(10), e(0, ""))
			f.changed(at(11), e(synSent, ""))
			f.changed(at(11), e(established, ""))
		}, "begin, expired rst-on-next idle-timeout, end rst-on-next idle-timeout, begin"},
		{"no port", proxies.ResetOnNext, func(f *flows, at func(float64) time.Time) {
			f.arrives(at(0), packet{ends: ends{client, frontend}})
			f.swallowed(at(0.1), func() string { return "" })
			f.swallowed(at(0.3), func() string { return "" })
			f.arrives(at(1), packet{ends: ends{client, frontend}})
			f.swallowed(at(2), func() string { return "" })
		}, "refused silent source-ports"},
		{"at its own door", proxies.ResetOnNext, func(f *flows, at func(float64) time.Time) {
			own := e(synSent, "")
			own.reply = ends{frontend, client}
			f.changed(at(0), own)
			f.destroyed(at(0), own)
		}, ""},
	} {
		var got []string
		f := newFlows([]front{{"lb", 20000, []backend{{"n1", backendAt}}}}, c.manner, idle, func(e proxies.Event) {
			got = append(got, strings.TrimSpace(strings.Join([]string{e.Kind, e.How, e.Why}, " ")))
			if e.Conn != "" && (e.Backend != "n1" || e.LocalAddr != local.String() || e.FrontAddr != frontend.String()) {
				t.Errorf("%s: %+v", c.name, e)
			}
			if e.Kind == proxies.KindEnd && e.Why == "client" && (e.Up != 10 || e.Down != 20 || e.Age != 2*time.Second) {
				t.Errorf("%s: %d and %d bytes in %v", c.name, e.Up, e.Down, e.Age)
			}
		})
		c.live(f, func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) })
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestAPacketIsRead(t *testing.T) {
	e := ends{at("10.1.0.1:5000"), at("10.1.0.2:20000")}
	b := syn(e)
	if p, err := parsePacket(b); err != nil || p.ends != e || p.fin || p.rst {
		t.Errorf("got %+v, %v", p, err)
	}
	b[20+13] = 0x05
	if p, err := parsePacket(b); err != nil || !p.fin || !p.rst {
		t.Errorf("got %+v, %v; want a FIN and an RST", p, err)
	}
	for _, bad := range [][]byte{nil, b[:33], append([]byte{6 << 4}, b[1:]...), append([]byte{4<<4 | 4}, b[1:]...)} {
		if p, err := parsePacket(bad); err == nil {
			t.Errorf("%x: got %+v", bad, p)
		}
	}
}

func FuzzPackets(f *testing.F) {
	f.Add(syn(ends{at("10.1.0.1:5000"), at("10.1.0.2:20000")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePacket(b); err == nil && (!p.from.IsValid() || !p.to.IsValid()) {
			t.Errorf("%+v", p)
		}
	})
}
