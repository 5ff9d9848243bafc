//go:build linux

package kernel

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lbtest/lbtest/proxies"
)

// plan is what the packet filter is to do, as data.
type plan struct {
	fronts    []front
	balance   string // of the setting balance
	seed      uint32 // of the hash of clients' addresses
	ports     portRange
	silent    bool                        // what the connection table has forgotten is dropped, otherwise reset
	unplugged []netip.Addr                // no packet reaches or leaves them
	out       bool                        // nothing is translated
	own       func(netip.Addr) netip.Addr // the balancer's address towards a backend
}

// front is a frontend: its port at each of the balancer's addresses, and the backends in rotation.
type front struct {
	name     string
	port     uint16
	backends []backend
}

type backend struct {
	name string
	at   netip.AddrPort
}

// portRange is the source ports that the balancer has towards each backend.
type portRange struct{ from, to uint16 }

const (
	// firstPort is that of the first frontend; the others follow. It is below the range that Linux gives to those who ask
	// for any port.
	firstPort = 20000
	// linuxFrom and linuxPorts are net.ipv4.ip_local_port_range as it is by default.
	linuxFrom, linuxPorts = 32768, 28232
	// lowestPort is the first that needs no privilege.
	lowestPort = 1024
)

// ports are so many, out of what Linux uses itself where that is enough.
func ports(count int) portRange {
	from := linuxFrom
	if count > linuxPorts {
		from = lowestPort
	}
	return portRange{uint16(from), uint16(from + count - 1)}
}

// planned is the plan of a profile before anything is served.
func planned(p proxies.Profile, fronts []front) plan {
	count := linuxPorts
	fmt.Sscan(p.Value("source-ports"), &count) // With has seen to it
	return plan{
		fronts: fronts, balance: p.Value("balance"), seed: uint32(p.Seed), ports: ports(count),
		silent: p.Value("idle-expiry") == string(proxies.Vanish),
	}
}

// forgotten is what becomes of a packet of a connection that the table does not have.
func (p plan) forgotten() clause {
	if p.silent && !p.out {
		return drop()
	}
	return reset()
}

// chains are those of the plan's table.
func (p plan) chains() []chain {
	invalid := rule{tcp(), invalid(), log(logInvalid), p.forgotten()}
	input := chain{name: "input", hook: "input", priority: "filter", rules: []rule{invalid}}
	forward := chain{name: "forward", hook: "forward", priority: "filter"}
	for _, addr := range p.unplugged {
		forward.rules = append(forward.rules, rule{from(addr), drop()}, rule{to(addr), drop()})
	}
	forward.rules = append(forward.rules, invalid)
	// A backend that is its own client's network neighbour could be told of a shorter way. And what provokes an answer at
	// a connection that was cut is to leave no trace in the table.
	output := chain{name: "output", hook: "output", priority: "raw", rules: []rule{{icmpRedirect(), drop()}, {marked(probeMark), untracked()}}}
	if p.out {
		return []chain{input, forward, output}
	}
	arriving := chain{name: "arriving", hook: "prerouting", priority: "mangle"}
	dnat := chain{name: "dnat", hook: "prerouting", priority: "dstnat"}
	snat := chain{name: "snat", hook: "postrouting", priority: "srcnat"}
	var behind []netip.AddrPort
	for _, f := range p.fronts {
		if len(f.backends) == 0 {
			continue
		}
		arriving.rules = append(arriving.rules, rule{tcp(), dport(f.port), isNew(), log(logArriving)})
		dnat.rules = append(dnat.rules, rule{tcp(), dport(f.port), p.chosen(f.backends)})
		for _, b := range f.backends {
			if !slices.Contains(behind, b.at) {
				behind = append(behind, b.at)
			}
		}
	}
	for _, b := range behind {
		snat.rules = append(snat.rules, rule{tcp(), to(b.Addr()), dport(b.Port()), translated(), snatTo(p.own(b.Addr()), p.ports)})
	}
	return []chain{arriving, dnat, snat, input, forward, output}
}

// chosen is the choice among backends.
func (p plan) chosen(backends []backend) clause {
	to := make([]netip.AddrPort, len(backends))
	for i, b := range backends {
		to[i] = b.at
	}
	switch {
	case len(to) == 1:
		return dnatTo(to[0])
	case p.balance == "source-hash":
		return dnatByHash(to, p.seed)
	case p.balance == "random":
		return dnatByChance(to)
	}
	return dnatByTurns(to)
}

// String is the plan in the filter's own language.
func (p plan) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "table ip %s {\n", tableName)
	for _, c := range p.chains() {
		fmt.Fprintf(&text, "\tchain %s {\n\t\ttype %s hook %s priority %s;\n", c.name, c.kind(), c.hook, c.priority)
		for _, r := range c.rules {
			text.WriteString("\t\t" + r.String() + "\n")
		}
		text.WriteString("\t}\n")
	}
	text.WriteString("}\n")
	return text.String()
}

// tableName is the table's in the packet filter. The engine that runs a container has others, which are left alone.
const tableName = "lbtest"

// chain is a chain of rules in the path of packets.
type chain struct {
	name, hook, priority string
	rules                []rule
}

func (c chain) kind() string {
	if strings.HasSuffix(c.priority, "nat") {
		return "nat"
	}
	return "filter"
}

// rule is clauses of which each must hold before the next is looked at.
type rule []clause

func (r rule) String() string {
	parts := make([]string, len(r))
	for i, c := range r {
		parts[i] = c.text
	}
	return strings.Join(parts, " ")
}
