// Package proxies says what a load balancer does, and does it: a Profile describes one, Listen runs
// it on real sockets.
//
//	client ─► front ─► gate ─► instance ─► choose, dial ─► Flow ─► lane ─┬─ copying           ─► backend
//	          accept   shut    policies                                  └─ toxiproxy's links
//	                   in a
//	                   stall
//
// Accepting, admitting, choosing and dialling are this package's own. A flow's bytes go in a lane: a flow
// with a byte fault staged on it runs as two toxiproxy links, every other flow as a copy in each direction.
//
// A behaviour is a value and a file, named after its first setting. To add one: write a type with the
// methods of Behaviour, register it from init with its row in the table of settings, and let its
// Start return a Policy.
package proxies
