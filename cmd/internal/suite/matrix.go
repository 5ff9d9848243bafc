package suite

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/profiles"
	"github.com/lbtest/lbtest/proxies/written"
	"github.com/lbtest/lbtest/topologies"
)

// Matrix is what a matrix asks, as it was written. It is data: a cell is one value of each axis, and is one configuration of
// one topology.
type Matrix struct {
	Suite  string // a built-in suite's name, or the file's path
	About  string
	Assert []string
	// Limit is the longest that a cell may take; 0 for as long as it takes. One that would take longer is skipped.
	Limit time.Duration
	// Pings is as how many pings of the link an idle timeout of a profile is simulated at the most; 0: as a run does.
	Pings    int
	blocks   []block // the axes, and what is included besides
	excludes []exclusion
	file     string // as errors name it
}

// block is a set of axes that are multiplied with each other.
type block []axis

// axis is one thing that differs from cell to cell, and the values that it takes.
type axis struct {
	name   string
	values []string
	at     written.Entry
}

// exclusion leaves out the cells that have one of the values of each of its axes.
type exclusion struct {
	axes block
	at   written.Entry
}

// The axes that are neither a balancer's setting nor a key of servers or clients.
const (
	axisTopology = "topology"
	axisProfile  = "profile"
	axisRuntime  = "runtime"
	axisAuth     = "auth"
	axisClients  = "clients"
)

// What begins with these is a key of the servers' configuration, or of the clients'.
const (
	natsAxis   = "nats."
	clientAxis = "client."
)

// unset is the value of an axis for leaving it as it is.
const unset = "default"

// Axes lists what an axis can be called; of the servers' keys, which are theirs, there is one.
func Axes() []string {
	names := []string{axisTopology, axisProfile}
	for _, s := range proxies.Settings() {
		names = append(names, s.Name)
	}
	names = append(names, natsAxis+"ping_interval")
	for _, key := range assertions.ClientKeys() {
		names = append(names, clientAxis+key)
	}
	return append(names, axisRuntime, axisAuth, axisClients)
}

// choice is a cell as its axes have it.
type choice struct {
	topology, profile, runtime, clients string
	row                                 []string // as a sweep's
}

// product multiplies the axes of a block, the first changing slowest.
func (b block) product() []choice {
	all := []choice{{}}
	for _, a := range b {
		var more []choice
		for _, c := range all {
			for _, v := range a.values {
				more = append(more, c.with(a.name, v))
			}
		}
		all = more
	}
	return all
}

func (c choice) with(axis, value string) choice {
	if value == unset {
		return c
	}
	add := func(pair string) { c.row = append(slices.Clone(c.row), pair) }
	key, ofServers := strings.CutPrefix(axis, natsAxis)
	option, ofClients := strings.CutPrefix(axis, clientAxis)
	switch {
	case axis == axisTopology:
		c.topology = value
	case axis == axisProfile:
		c.profile = value
	case axis == axisRuntime:
		c.runtime = value
	case axis == axisClients:
		c.clients = value
	case axis == axisAuth:
		add("auth:" + value)
	case ofServers:
		add("nats:" + key + "=" + value)
	case ofClients:
		add("client:" + option + "=" + value)
	default:
		add(axis + "=" + value)
	}
	return c
}

// Runtimes names the runtimes that cells ask for, each once.
func (m Matrix) Runtimes() []string {
	var names []string
	for _, b := range m.blocks {
		for _, a := range b {
			for _, v := range a.values {
				if a.name == axisRuntime && v != unset && !slices.Contains(names, v) {
					names = append(names, v)
				}
			}
		}
	}
	return names
}

// value is what a cell has on an axis: for a setting that of its profile, where nothing else was said.
func (s scenario) value(axis string, onRuntime string) string {
	key, ofServers := strings.CutPrefix(axis, natsAxis)
	option, ofClients := strings.CutPrefix(axis, clientAxis)
	found := ""
	switch {
	case axis == axisTopology:
		found = s.topology.Name
	case axis == axisProfile:
		found = s.from.given
	case axis == axisRuntime:
		found = onRuntime
	case axis == axisAuth:
		found = string(s.auth)
	case axis == axisClients:
		found = fmt.Sprint(s.clients)
	case ofServers:
		found = said(s.nats)[key]
	case ofClients:
		found = s.client.Said()[option]
	default:
		found = s.settings[axis]
	}
	return cmp.Or(found, unset)
}

// matches reports whether a cell is one that is excluded.
func (e exclusion) matches(s scenario, onRuntime string) bool {
	return !slices.ContainsFunc(e.axes, func(a axis) bool { return !slices.Contains(a.values, s.value(a.name, onRuntime)) })
}

// named lists the names that a pattern stands for; the pattern itself where it is none.
func named(pattern string, names []string) []string {
	if !strings.Contains(pattern, "*") {
		return []string{pattern}
	}
	var found []string
	for _, n := range names {
		if ok, err := path.Match(pattern, n); ok && err == nil {
			found = append(found, n)
		}
	}
	return found
}

func topologyNames() []string {
	var names []string
	for _, t := range topologies.All() {
		names = append(names, t.Name)
	}
	return names
}

// checked says why a value cannot stand on an axis. Whether values go together is for the cell to say.
func checked(axis, value string) error {
	key, ofServers := strings.CutPrefix(axis, natsAxis)
	option, ofClients := strings.CutPrefix(axis, clientAxis)
	switch {
	case value == unset && axis != axisTopology:
		return nil
	case axis == axisTopology:
		if _, ok := topologies.Find(value); !ok {
			return written.Unknown("topology", value, topologyNames())
		}
	case axis == axisProfile:
		if profiles.IsFile(value) {
			_, err := profiles.Load(value)
			return err
		}
		_, err := profiles.Find(value)
		return err
	case axis == axisRuntime: // it is not known here what there is
	case axis == axisAuth:
		_, err := topologies.ParseAuthMode(value)
		return err
	case axis == axisClients:
		if count(value) < 1 {
			return fmt.Errorf("%q: want a number of client connections from 1 up", value)
		}
	case ofServers:
		_, err := topologies.ParseKeyValue(key + "=" + value)
		return err
	case ofClients:
		_, err := assertions.ParseClientTuning([]string{option + "=" + value})
		return err
	default:
		_, setting := ofLink(axis)
		_, err := proxies.Direct().With(setting, value)
		return err
	}
	return nil
}

// ofLink tells a setting from the link whose balancer it is for: gateways:idle-timeout.
func ofLink(axis string) (link, setting string) {
	if link, setting, ok := strings.Cut(axis, ":"); ok {
		return link, setting
	}
	return "", axis
}
