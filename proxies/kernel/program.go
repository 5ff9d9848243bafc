//go:build linux

package kernel

import (
	"fmt"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

var (
	hooks = map[string]*nftables.ChainHook{
		"prerouting": nftables.ChainHookPrerouting, "input": nftables.ChainHookInput, "forward": nftables.ChainHookForward,
		"output": nftables.ChainHookOutput, "postrouting": nftables.ChainHookPostrouting,
	}
	priorities = map[string]*nftables.ChainPriority{
		"raw": nftables.ChainPriorityRaw, "mangle": nftables.ChainPriorityMangle, "dstnat": nftables.ChainPriorityNATDest,
		"filter": nftables.ChainPriorityFilter, "srcnat": nftables.ChainPriorityNATSource,
	}
)

// programming is for one balancer at a time: the library numbers its maps by a variable of the whole process.
var programming sync.Mutex

// program puts a plan into force in the place of what was there, in one step: no packet meets half of it. Connections
// stay in the table.
func program(filter *nftables.Conn, p plan) error {
	programming.Lock()
	defer programming.Unlock()
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: tableName}
	filter.AddTable(table) // so that there is one to delete
	filter.DelTable(table)
	filter.AddTable(table)
	for _, c := range p.chains() {
		kind := nftables.ChainTypeFilter
		if c.kind() == "nat" {
			kind = nftables.ChainTypeNAT
		}
		made := filter.AddChain(&nftables.Chain{Name: c.name, Table: table, Type: kind, Hooknum: hooks[c.hook], Priority: priorities[c.priority]})
		for _, r := range c.rules {
			exprs, err := r.expressions(filter, table)
			if err != nil {
				return fmt.Errorf("writing the rule %q: %w", r, err)
			}
			filter.AddRule(&nftables.Rule{Table: table, Chain: made, Exprs: exprs})
		}
	}
	if err := filter.Flush(); err != nil {
		return fmt.Errorf("programming the packet filter: %w", err)
	}
	return nil
}

// expressions are the rule's, after the maps that they look numbers up in.
func (r rule) expressions(filter *nftables.Conn, table *nftables.Table) ([]expr.Any, error) {
	var all []expr.Any
	for _, c := range r {
		var set *nftables.Set
		if len(c.targets) > 0 {
			var elements []nftables.SetElement
			set, elements = numbered(table, c.targets)
			if err := filter.AddSet(set, elements); err != nil {
				return nil, err
			}
		}
		for _, e := range c.exprs {
			if lookup, ok := e.(*expr.Lookup); ok {
				lookup.SetName, lookup.SetID = set.Name, set.ID
			}
			all = append(all, e)
		}
	}
	return all, nil
}
