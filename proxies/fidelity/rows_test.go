package fidelity

import (
	"strings"
	"time"
)

// rows are the settings that real balancers of this machine have as well. Times are shorter than anybody's
// defaults: what is compared is not their length.
func rows() []row {
	long := "timeout client 1h\n"
	all := []row{
		{name: "timeout client 3s", real: haproxy("timeout client 3s", "timeout server 1h", ""), set: []string{"idle-timeout-client=3s"}, do: staysQuiet},
		{name: "timeout server 3s", real: haproxy("timeout client 1h", "timeout server 3s", ""), set: []string{"idle-timeout-server=3s"}, do: staysQuiet},
		{name: "timeout tunnel 3s", real: haproxy("timeout client 1h", "timeout server 1h\ntimeout tunnel 3s", ""), set: []string{"idle-timeout=3s"}, do: staysQuiet},
		{name: "proxy_timeout 3s", real: stream("proxy_timeout 3s;"), set: []string{"idle-timeout=3s"}, do: staysQuiet},

		{name: "timeout client 3s, messages one way", real: haproxy("timeout client 3s", "timeout server 1h", ""), set: []string{"idle-timeout-client=3s"}, do: isToldNow},
		{name: "proxy_timeout 3s, messages one way", real: stream("proxy_timeout 3s;"), set: []string{"idle-timeout=3s"}, do: isToldNow},
		{name: "a client half-closes", real: haproxy("timeout client 1h", "timeout server 1h", ""), server: server{bare: true}, do: rawly(halfClosed)},
		{name: "a client resets", real: haproxy("timeout client 1h", "timeout server 1h", ""), server: server{bare: true}, do: rawly(resetByClient)},
		{name: "a server resets", real: haproxy("timeout client 1h", "timeout server 1h", ""), server: server{bare: true}, do: rawly(resetByServer),
			apart: map[string]string{"client sees": "packet-level boxes pass an RST on, and NATS treats both alike"}},

		{name: "inspect-delay 1s, accept if req.len gt 0", real: haproxy(long+"tcp-request inspect-delay 1s\ntcp-request content accept if { req.len gt 0 }", "timeout server 1h", ""),
			set: []string{"inspection=client-first", "inspection-delay=1s"}, do: connects(timeout(5 * time.Second))},
		{name: "inspect-delay 5s, accept if req.len gt 0", real: haproxy(long+"tcp-request inspect-delay 5s\ntcp-request content accept if { req.len gt 0 }", "timeout server 1h", ""),
			set: []string{"inspection=client-first"}, do: connects()},
		{name: "the same, TLS first", real: haproxy(long+"tcp-request inspect-delay 5s\ntcp-request content accept if { req.len gt 0 }", "timeout server 1h", ""),
			set: []string{"inspection=client-first"}, server: server{tls: true, first: true}, do: connects(encrypted, tlsFirst)},
		{name: "inspect-delay 1s, accept if WAIT_END", real: haproxy(long+"tcp-request inspect-delay 1s\ntcp-request content accept if WAIT_END", "timeout server 1h", ""),
			set: []string{"inspection=wait-end", "inspection-delay=1s"}, do: connects()},
		{name: "inspect-delay 1s, reject", real: haproxy(long+"tcp-request inspect-delay 1s\ntcp-request content accept if { req.len gt 0 }\ntcp-request content reject", "timeout server 1h", ""),
			set: []string{"inspection=client-first", "inspection-delay=1s", "inspection-verdict=close"}, do: connects()},
		{name: "req.ssl_hello_type 1, reject", real: haproxy(long+"tcp-request inspect-delay 1s\ntcp-request content accept if { req.ssl_hello_type 1 }\ntcp-request content reject", "timeout server 1h", ""),
			set: []string{"inspection=tls-hello", "inspection-delay=1s", "inspection-verdict=close"}, do: connects()},
		{name: "the same, TLS first ", real: haproxy(long+"tcp-request inspect-delay 1s\ntcp-request content accept if { req.ssl_hello_type 1 }\ntcp-request content reject", "timeout server 1h", ""),
			set: []string{"inspection=tls-hello", "inspection-delay=1s", "inspection-verdict=close"}, server: server{tls: true, first: true}, do: connects(encrypted, tlsFirst)},
		{name: "ssl_preread on, preread_timeout 1s", real: stream("ssl_preread on;\npreread_timeout 1s;"),
			set: []string{"inspection=tls-hello", "inspection-delay=1s", "inspection-verdict=close"}, do: connects()},
		{name: "ssl_preread on, TLS first", real: stream("ssl_preread on;\npreread_timeout 1s;"),
			set: []string{"inspection=tls-hello", "inspection-delay=1s", "inspection-verdict=close"}, server: server{tls: true, first: true}, do: connects(encrypted, tlsFirst)},
		{name: "mode http", real: inHTTP(haproxy("timeout client 1h", "timeout server 1h", "")), set: []string{"inspection=http", "inspection-verdict=close", "inspection-delay=1h"}, do: connects()},

		{name: "mode http, and something else is said", real: inHTTP(haproxy("timeout client 1h", "timeout server 1h", "")), set: []string{"inspection=http", "inspection-verdict=close"}, do: babbles},

		{name: "send-proxy", real: haproxy("timeout client 1h", "timeout server 1h", "send-proxy"), set: []string{"proxy-protocol=v1"}, do: connects()},
		{name: "send-proxy, expected", real: haproxy("timeout client 1h", "timeout server 1h", "send-proxy"), set: []string{"proxy-protocol=v1"}, server: server{proxied: true}, do: connects()},
		{name: "send-proxy-v2", real: haproxy("timeout client 1h", "timeout server 1h", "send-proxy-v2"), set: []string{"proxy-protocol=v2"}, do: connects()},
		{name: "send-proxy-v2, expected", real: haproxy("timeout client 1h", "timeout server 1h", "send-proxy-v2"), set: []string{"proxy-protocol=v2"}, server: server{proxied: true}, do: connects()},
		{name: "no header, though expected", real: haproxy("timeout client 1h", "timeout server 1h", ""), set: nil, server: server{proxied: true}, do: connects()},
		{name: "proxy_protocol on", real: stream("proxy_protocol on;"), set: []string{"proxy-protocol=v1"}, server: server{proxied: true}, do: connects()},

		{name: "ssl crt, ordinary client", real: terminating(haproxy("timeout client 1h", "timeout server 1h", "")), set: []string{"tls=terminate"}, do: connects()},
		{name: "ssl crt, TLS first", real: terminating(haproxy("timeout client 1h", "timeout server 1h", "")), set: []string{"tls=terminate"}, do: connects(encrypted, tlsFirst)},
		{name: "ssl crt, TLS first, allow_non_tls", real: terminating(haproxy("timeout client 1h", "timeout server 1h", "")), set: []string{"tls=terminate"},
			server: server{tls: true, plainToo: true}, do: connects(encrypted, tlsFirst)},
		{name: "ssl crt and ssl verify none, INFO first", real: terminating(haproxy("timeout client 1h", "timeout server 1h", "ssl verify none")), set: []string{"tls=re-encrypt"},
			server: server{tls: true}, do: connects(encrypted, tlsFirst)},
		{name: "ssl crt and ssl verify none, TLS first", real: terminating(haproxy("timeout client 1h", "timeout server 1h", "ssl verify none")), set: []string{"tls=re-encrypt"},
			server: server{tls: true, first: true}, do: connects(encrypted, tlsFirst)},

		{name: "maxconn 3", real: haproxy("timeout client 1h\nmaxconn 3", "timeout server 1h", ""), set: []string{"max-connections=3"}, do: crowd(4)},
		{name: "maxconn 3, one leaves", real: haproxy("timeout client 1h\nmaxconn 3", "timeout server 1h", ""), set: []string{"max-connections=3"}, do: queues(3)},
		{name: "source of 5 ports", real: haproxy("timeout client 1h", "timeout server 1h", "source 127.0.0.1:{ports}"), set: []string{"source-ports=5", "port-reuse-delay=1s"}, do: crowd(8)},

		{name: "state drain", real: haproxy("timeout client 1h", "balance roundrobin\ntimeout server 1h", ""), set: []string{"drain=keep"}, server: server{count: 2}, do: drained},
	}
	for _, r := range []real{haproxy("timeout client 1h", "timeout server 1h", ""), stream("proxy_timeout 1h;")} {
		all = append(all,
			row{name: r.program + " reloads", real: r, set: []string{"restart=reload"}, do: livesThrough(func(w *way) { w.reload() })},
			row{name: r.program + " is killed and back", real: r, set: []string{"restart=crash"}, do: livesThrough(func(w *way) { w.crash() })})
	}
	return all
}

// terminating is a balancer that ends TLS.
func terminating(r real) real {
	r.config = strings.Replace(r.config, "bind {listen}", "bind {listen} ssl crt {pem}", 1)
	return r
}

// inHTTP is a balancer that speaks HTTP.
func inHTTP(r real) real {
	r.config = strings.Replace(r.config, "mode tcp", "mode http", 1)
	return r
}
