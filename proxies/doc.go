// Package proxies says what a load balancer does, and does it: a Profile describes one, Listen runs
// it on real sockets.
//
//	client ─► front ─► gate ─► instance ─► phases of Policy ─► Flow ─► lane ─┬─ an epoll loop (Linux)  ─► backend
//	          accept   shut    policies    choose, dial                      ├─ copying
//	                   in a                                                  └─ chains of toxiproxy's
//	                   stall                                                    toxics
//
// Accepting, admitting, choosing and dialling are this package's own. A flow's bytes go in a lane: past the
// toxics of a chain in each direction where a byte fault is staged; in copies of a goroutine a direction where the balancer ends TLS and on systems without epoll; and in the one
// loop of its balancer everywhere else.
//
// What several settings do to one connection happens in the order of real balancers, whatever the order in which
// they were given (the phases are in Policy):
//
//	TCP handshake
//	1  a cap or a rate        max-connections, connect-rate
//	2  the ClientHello        inspection=tls-hello
//	3  TLS with the client    tls=terminate, re-encrypt, re-encrypt-mtls
//	4  the client's bytes     the other inspections that wait, on what was decrypted
//	5  a backend              balance, of those that health-check, drain and node-fault leave; hairpin
//	6  a port, and the dial   source-ports
//	7  the header             proxy-protocol, in the clear
//	8  TLS with the backend   tls=re-encrypt, re-encrypt-mtls
//	then bytes are forwarded, decrypted:
//	     read ─► inspection's filters ─► latency ─► bandwidth, burst ─► slice ─► write
//
// Idle-timeout and max-lifetime begin to count with the first step of forwarding; a stall holds whatever step a
// connection is at.
//
// HAProxy, nginx and Envoy all take 1 to 4 before they choose (tcp-request content rules, ssl_preread and listener
// filters hold a connection that has no backend yet), and all send 7 ahead of 8: a PROXY header is for whoever
// accepts the TCP connection. Everything up to 8 takes place at the speed of the machine; the byte faults begin with
// the first byte that is forwarded.
//
// A behaviour is a value and a file, named after its first setting. To add one: write a type with the
// methods of Behaviour, register it from init with its row in the table of settings, and let its
// Start return a Policy.
package proxies
