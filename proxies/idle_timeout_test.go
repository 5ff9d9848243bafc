package proxies

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

const never = time.Duration(0)

func TestIdleClock(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		what  string
		clock idleClock
		asked []Quiet // one after the other
		want  []idleStep
	}{
		{"a busy connection is asked again when it could be idle", idleClock{after: 5 * s},
			[]Quiet{{Client: 0, Server: 0}, {Client: 4 * s, Server: 1 * s}}, []idleStep{{wait: 5 * s}, {wait: 4 * s}}},
		{"a connection expires at its time and not a moment before", idleClock{after: 5 * s},
			[]Quiet{{Client: 5*s - 1, Server: 5*s - 1}, {Client: 5 * s, Server: 5 * s}}, []idleStep{{wait: 1}, {expire: "idle-timeout"}}},
		{"a byte at either side counts for idle-timeout", idleClock{after: 5 * s},
			[]Quiet{{Client: 9 * s, Server: 2 * s}, {Client: 2 * s, Server: 9 * s}}, []idleStep{{wait: 3 * s}, {wait: 3 * s}}},
		{"a side's own timer looks at that side", idleClock{client: 5 * s, server: 20 * s},
			[]Quiet{{Client: 1 * s, Server: 9 * s}, {Client: 5 * s, Server: 0}}, []idleStep{{wait: 4 * s}, {expire: "idle-timeout-client"}}},
		{"the shorter of two timers that are up is named", idleClock{after: 7 * s, server: 5 * s},
			[]Quiet{{Client: 8 * s, Server: 8 * s}}, []idleStep{{expire: "idle-timeout-server"}}},
		{"probes that come in time keep it alive for ever", idleClock{after: 5 * s, probe: 4 * s},
			[]Quiet{{Client: 90 * s, Server: 90 * s}}, []idleStep{{wait: never}}},
		{"probes that come too late do not", idleClock{after: 5 * s, probe: 5 * s},
			[]Quiet{{Client: 5 * s, Server: 5 * s}}, []idleStep{{expire: "idle-timeout"}}},
		{"the dialling side's probes do not refresh the server's timer", idleClock{client: 5 * s, server: 6 * s, probe: 1 * s},
			[]Quiet{{Client: 5 * s, Server: 5 * s}, {Client: 6 * s, Server: 6 * s}}, []idleStep{{wait: 1 * s}, {expire: "idle-timeout-server"}}},
		{"after an rst-on-next expiry the next probe draws the reset", idleClock{after: 5 * s, probe: 8 * s, how: ResetOnNext},
			[]Quiet{{Client: 5 * s, Server: 5 * s}, {Client: 7 * s, Server: 7 * s}, {Client: 8 * s, Server: 8 * s}},
			[]idleStep{{expire: "idle-timeout", wait: 3 * s}, {wait: 1 * s}, {probe: true}}},
		{"probes count on from the client's last byte", idleClock{server: 20 * s, probe: 8 * s, how: ResetOnNext},
			[]Quiet{{Client: 20 * s, Server: 20 * s}, {Client: 24 * s, Server: 24 * s}},
			[]idleStep{{expire: "idle-timeout-server", wait: 4 * s}, {probe: true}}},
		{"without probes nothing more is asked after the expiry", idleClock{after: 5 * s, how: ResetOnNext},
			[]Quiet{{Client: 5 * s, Server: 5 * s}}, []idleStep{{expire: "idle-timeout", wait: never}}},
		{"without a timer nothing is ever asked again", idleClock{},
			[]Quiet{{Client: 1000 * s, Server: 1000 * s}}, []idleStep{{wait: never}}},
	} {
		var got []idleStep
		for _, q := range c.asked {
			got = append(got, c.clock.ask(q))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.what, got, c.want)
		}
	}
}

// idle is short for the tests' sake, and long beside the scheduling noise of a busy machine: tens of milliseconds, now and then
// hundreds.
const idle = 400 * time.Millisecond

func TestIdleConnectionsEndInTheMannerSet(t *testing.T) {
	for _, c := range []struct {
		setting string
		story   []string
		after   func(t *testing.T, client, server *net.TCPConn)
	}{
		{"idle-expiry=fin", []string{"begin", "expired fin idle-timeout", "end fin idle-timeout"}, func(t *testing.T, client, server *net.TCPConn) {
			expect(t, "client", client, eof)
			expect(t, "server", server, eof)
		}},
		{"idle-expiry=rst", []string{"begin", "expired rst idle-timeout", "end rst idle-timeout"}, func(t *testing.T, client, server *net.TCPConn) {
			expect(t, "client", client, rst)
			expect(t, "server", server, rst)
		}},
		{"idle-expiry=silent", []string{
			"begin", "expired silent idle-timeout", "gave-up fin client", "gave-up rst server", "end silent idle-timeout",
		}, func(t *testing.T, client, server *net.TCPConn) {
			io.WriteString(client, "into the void")
			io.WriteString(server, "into the void")
			expect(t, "client", client, silence)
			expect(t, "server", server, silence)
			client.Close()
			expect(t, "server, after the client has given up,", server, silence)
			server.SetLinger(0)
			server.Close()
		}},
		{"idle-expiry=rst-on-next", []string{
			"begin", "expired rst-on-next idle-timeout", "gave-up rst server", "gave-up rst client", "end rst-on-next idle-timeout",
		}, func(t *testing.T, client, server *net.TCPConn) {
			expect(t, "client", client, silence)
			expect(t, "server", server, silence)
			io.WriteString(server, "?")
			expect(t, "server, having spoken,", server, rst)
			expect(t, "client, who has not,", client, silence)
			io.WriteString(client, "?")
			expect(t, "client, having spoken,", client, rst)
		}},
	} {
		bothLanes(t, c.setting, func(t *testing.T, lane Profile) {
			l := start(t, add(t, lane, "idle-timeout="+idle.String(), c.setting))
			client, server := l.dial("n1"), l.reached("b1")
			last := time.Now() // the byte is sent after this
			say(t, client, server, "!")
			expired := l.event(KindExpired)
			if got := expired.At.Sub(last); got < idle {
				t.Errorf("expired %s after a moment before the last byte, want %s or more", got, idle)
			}
			if expired.Up != 1 || expired.Down != 0 {
				t.Errorf("expired with %d bytes up and %d down, want 1 and 0", expired.Up, expired.Down)
			}
			c.after(t, client, server)
			l.tells("n1#1", c.story...)
		})
	}
}

func TestActivityInEitherDirectionPostponesTheExpiry(t *testing.T) {
	const idle = time.Second // a word may be late by nearly as much
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			l := start(t, with(t, "idle-timeout="+idle.String()))
			client, server := l.connect()
			from, to := client, server
			if who == "server" {
				from, to = server, client
			}
			tick := time.NewTicker(idle / 10)
			defer tick.Stop()
			for range 25 { // two and a half timeouts long
				say(t, from, to, ".")
				<-tick.C
			}
			l.tells("n1#1", "begin")
		})
	}
}

func TestTheSettingThatFiredIsNamed(t *testing.T) {
	for _, c := range []struct {
		settings []string
		want     string
	}{
		{[]string{"idle-timeout-client=" + idle.String(), "idle-timeout-server=10m"}, "idle-timeout-client"},
		{[]string{"idle-timeout-client=10m", "idle-timeout-server=" + idle.String()}, "idle-timeout-server"},
		{[]string{"idle-timeout=" + idle.String(), "idle-timeout-server=10m"}, "idle-timeout"},
	} {
		t.Run(c.want, func(t *testing.T) {
			l := start(t, with(t, c.settings...))
			l.connect()
			l.tells("n1#1", "begin", "expired fin "+c.want, "end fin "+c.want)
		})
	}
}

func TestKeepalivesAsModelled(t *testing.T) {
	const often, late = idle / 3, 2 * idle
	for _, c := range []struct {
		what     string
		probes   time.Duration
		settings []string
		client   string // what it finds in the end
		story    []string
	}{
		{"probes in time keep the connection", often, []string{"idle-keepalive=counts"}, silence, []string{"begin"}},
		{"probes that are not counted do not", often, nil, eof, []string{"begin", "expired fin idle-timeout", "end fin idle-timeout"}},
		{"a link without probes expires", 0, []string{"idle-keepalive=counts"}, eof, []string{"begin", "expired fin idle-timeout", "end fin idle-timeout"}},
		{"a late probe draws the reset", late, []string{"idle-keepalive=counts", "idle-expiry=rst-on-next"}, rst,
			[]string{"begin", "expired rst-on-next idle-timeout", "gave-up rst client"}},
		{"an uncounted probe draws nothing", often, []string{"idle-expiry=rst-on-next"}, silence, []string{"begin", "expired rst-on-next idle-timeout"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := start(t, add(t, with(t, "idle-timeout="+idle.String()), c.settings...), front{Front{Name: "n1", Keepalive: c.probes}, []string{"b1"}})
			said := time.Now() // the last byte comes after this
			client, _ := l.connect()
			within := patience
			if c.client == silence {
				within = 3 * idle // longer than the timeout and the latest probe
			}
			if got := finds(client, within); got != c.client {
				t.Errorf("client finds %s, want %s", got, c.client)
			}
			l.tells("n1#1", c.story...)
			if c.client != rst {
				return
			}
			// Later only by what the machine is.
			if got := l.event(KindGaveUp).At.Sub(said); got < late || got > 10*late {
				t.Errorf("the probe came %s after the last byte, want about %s", got, late)
			}
		})
	}
}

func TestASilentConnectionSwallowsALittleAndThenBlocksTheWriter(t *testing.T) {
	bothLanes(t, "writing", func(t *testing.T, lane Profile) {
		l := start(t, add(t, lane, "idle-timeout="+idle.String(), "idle-expiry=silent"))
		client, server := l.connect()
		l.event(KindExpired)
		client.SetWriteBuffer(64 << 10)
		much, wrote := make([]byte, 64<<20), 0
		for { // until nothing goes any more: a busy machine may take less at a time than it would
			client.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			n, err := client.Write(much[wrote:])
			if err == nil {
				t.Fatal("64 MiB went into silence")
			}
			if wrote += n; n == 0 {
				break
			}
		}
		if wrote < swallowed {
			t.Errorf("the writer was blocked after %d bytes, want %d or more", wrote, swallowed)
		}
		server.Close()
		l.tells("n1#1", "begin", "expired silent idle-timeout", "gave-up fin server")
		client.SetLinger(0)
		client.Close()
		l.tells("n1#1", "begin", "expired silent idle-timeout", "gave-up fin server", "gave-up rst client", "end silent idle-timeout")
		if end := l.event(KindEnd); end.Up != 5 || end.Down != 0 {
			t.Errorf("got %d bytes up and %d down, want the 5 before the silence and 0", end.Up, end.Down)
		}
	})
}

func TestAnEndThatHadClosedBeforeTheSilenceHasGivenUp(t *testing.T) {
	bothLanes(t, "half-closed", func(t *testing.T, lane Profile) {
		l := start(t, add(t, lane, "idle-timeout="+idle.String(), "idle-expiry=silent"))
		client, server := l.connect()
		client.CloseWrite()
		expect(t, "server", server, eof)
		l.tells("n1#1", "begin", "expired silent idle-timeout", "gave-up fin client")
		server.Close()
		l.tells("n1#1", "begin", "expired silent idle-timeout", "gave-up fin client", "gave-up fin server", "end silent idle-timeout")
	})
}
