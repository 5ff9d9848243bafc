package proxies

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestIdleConnectionsEndInTheMannerSet(t *testing.T) {
	const idle = 150 * time.Millisecond
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
		for _, lane := range []string{"lane 0", "lane 2"} {
			t.Run(c.setting+" in "+lane, func(t *testing.T) {
				p := with(t, "idle-timeout="+idle.String(), c.setting)
				if lane == "lane 2" {
					p = with(t, "idle-timeout="+idle.String(), c.setting, "stall=1s")
				}
				l := start(t, p)
				client, server := l.connect()
				spoke := time.Now()
				expired := l.event(KindExpired)
				if early := idle - expired.At.Sub(spoke); early > 0 && early > 20*time.Millisecond {
					t.Errorf("expired %s early", early)
				}
				c.after(t, client, server)
				l.tells("n1#1", c.story...)
			})
		}
	}
}
