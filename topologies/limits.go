package topologies

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// Limits is what each node may use of its machine, as given with --node. Zero is no limit.
type Limits struct {
	Memory     int64   // bytes; the kernel kills a node that needs more
	CPUs       float64 // how many processors' time it gets, 0.5 is half of one
	GoMemLimit int64   // bytes; GOMEMLIMIT of the server, whose garbage collector keeps below it while it can
}

// Limit is one of the limits, as it can be given.
type Limit struct {
	Name, Values string
	About        string // in a line
	Example      string // as --node takes it
	Explain      string // for whoever wants to set it
	enforced     bool   // by the kernel, for which a node must be in a container
	value        func(Limits) string
	set          func(*Limits, string) error
}

// least is the smallest memory limit that an engine takes (moby, daemon_unix.go linuxMinMemory).
const least = 6 << 20

// slightest is the smallest part of a processor that a kernel gives: a millisecond of each 100 (sched_cfs_quota).
const slightest = 0.01

// NodeLimits lists what can be limited, in the order in which reports name it.
func NodeLimits() []Limit {
	return []Limit{
		{
			Name: "memory", Example: "memory=64MiB", Values: "BYTES", About: "what a node's container may use; the kernel kills a node that needs more", enforced: true,
			Explain: "As docker run --memory, or a pod's resources.limits.memory, without swap. What counts is everything: heap, garbage, socket buffers. " +
				"nats-server does not look at it. Its JetStream takes up to three quarters of the host's memory for streams in memory unless max_memory_store " +
				"or GOMEMLIMIT says less, and up to 64 MiB (max_pending) wait for each client that does not read. Docker runtime only.",
			value: func(l Limits) string { return sized(l.Memory) },
			set: func(l *Limits, v string) (err error) {
				if l.Memory, err = size(v); err == nil && l.Memory < least {
					err = errors.New("an engine takes no less than 6MiB, and a nats-server needs some 20MiB for itself")
				}
				return err
			},
		},
		{
			Name: "cpus", Example: "cpus=0.5", Values: "NUMBER", About: "how many processors' time a node gets; more waits for the next tenth of a second", enforced: true,
			Explain: "As docker run --cpus, or a pod's resources.limits.cpu: the kernel lets a node run for that part of each 100 ms and then stops it until the next. " +
				"Such pauses hold up pings, acks and Raft's heartbeats. GOMAXPROCS follows it in Go 1.25 and later, but never below 2. Docker runtime only.",
			value: func(l Limits) string {
				if l.CPUs == 0 {
					return ""
				}
				return strconv.FormatFloat(l.CPUs, 'f', -1, 64)
			},
			set: func(l *Limits, v string) (err error) {
				if l.CPUs, err = strconv.ParseFloat(v, 64); err != nil || !(l.CPUs >= slightest && l.CPUs <= 1024) {
					return errors.New("want a number of processors from 0.01 up, as in 0.5 or 2")
				}
				return nil
			},
		},
		{
			Name: "gomemlimit", Example: "gomemlimit=48MiB", Values: "BYTES", About: "GOMEMLIMIT of the servers: where their garbage collector begins to work hard",
			Explain: "A Go program lets its heap grow to about twice what is alive before it collects, whatever its container's limit. GOMEMLIMIT has it collect earlier, and nats-server takes three quarters of it, " +
				"if that is less than three quarters of the host's memory, as JetStream's limit for streams in memory. It frees garbage only: what is alive (messages in memory streams, bytes that wait for clients) stays. " +
				"Set it some way below the memory limit, 75 to 80 % of it. It is an environment variable, so every runtime has it.",
			value: func(l Limits) string { return sized(l.GoMemLimit) },
			set: func(l *Limits, v string) (err error) {
				l.GoMemLimit, err = size(v)
				return err
			},
		},
	}
}

// ParseLimits reads what --node was given, KEY=VALUE each. Every error is the user's and says what was given and
// what exists.
func ParseLimits(given []string) (Limits, error) {
	var l Limits
	seen := map[string]string{}
	for _, pair := range given {
		key, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if why, known := unlimited[key]; known {
			return l, fmt.Errorf("%q: %s", pair, why)
		}
		i := slices.IndexFunc(NodeLimits(), func(k Limit) bool { return k.Name == key })
		switch was, twice := seen[key]; {
		case i < 0:
			return l, fmt.Errorf("%q: nodes have no limit called %q; there is %s", pair, key, strings.Join(limitNames(), ", "))
		case !ok || value == "":
			return l, fmt.Errorf("%q: want KEY=VALUE, as in memory=64MiB, cpus=0.5 or gomemlimit=48MiB", pair)
		case twice:
			return l, fmt.Errorf("%q: %s was given already, as %s", pair, key, was)
		}
		if err := NodeLimits()[i].set(&l, value); err != nil {
			return l, fmt.Errorf("%q: %w", pair, err)
		}
		seen[key] = value
	}
	return l, nil
}

// unlimited is what one might want to limit, and why that is not offered.
var unlimited = map[string]string{
	"io": "disks whose credits run out are not simulated: an engine's limits of block devices slow down only what is synced, and what nats-server writes is " +
		"synced every two minutes unless sync_interval says otherwise, so that a verdict would depend on the moment; networks whose credits run out are --set bandwidth=…,burst=…",
	"pids": "a nats-server is one process with a dozen threads, whatever it does; there is nothing to limit",
}

func limitNames() []string {
	var names []string
	for _, l := range NodeLimits() {
		names = append(names, l.Name)
	}
	return names
}

// With gives the limits with some of them changed, by their names.
func (l Limits) With(changes map[string]string) (Limits, error) {
	all := l.Said()
	maps.Copy(all, changes)
	var pairs []string
	for name, value := range all {
		pairs = append(pairs, name+"="+value)
	}
	return ParseLimits(pairs)
}

// Said gives the limits that are set, each in one spelling.
func (l Limits) Said() map[string]string {
	said := map[string]string{}
	for _, k := range NodeLimits() {
		if v := k.value(l); v != "" {
			said[k.Name] = v
		}
	}
	return said
}

// Pairs gives the limits that are set as --node takes them, in their usual order.
func (l Limits) Pairs() []string {
	var pairs []string
	for _, k := range NodeLimits() {
		if v := k.value(l); v != "" {
			pairs = append(pairs, k.Name+"="+v)
		}
	}
	return pairs
}

// Enforced gives the pairs of those limits that only a kernel can keep a node to.
func (l Limits) Enforced() []string {
	var pairs []string
	for _, k := range NodeLimits() {
		if v := k.value(l); v != "" && k.enforced {
			pairs = append(pairs, k.Name+"="+v)
		}
	}
	return pairs
}

// Environment is what of the limits a server reads from its environment, NAME=VALUE each.
func (l Limits) Environment() map[string]string {
	if l.GoMemLimit == 0 {
		return nil
	}
	return map[string]string{"GOMEMLIMIT": strconv.FormatInt(l.GoMemLimit, 10) + "B"}
}

var sizeText = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?([KMG]i?)?B$`)

// size reads a number of bytes that says its unit: a bare 64m is 64 MB to some programs and 64 MiB to others.
func size(value string) (int64, error) {
	if !sizeText.MatchString(value) {
		return 0, errors.New("want a number of bytes with its unit, as in 64MiB (1,048,576 bytes each) or 64MB (1,000,000 each)")
	}
	n, err := humanize.ParseBytes(value)
	if err != nil || n == 0 || n > 1<<50 {
		return 0, errors.New("want a number of bytes above zero that a machine could have, as in 64MiB")
	}
	return int64(n), nil
}

// sized writes a number of bytes exactly, in the largest binary unit, or else decimal one, in which it is whole; "" for 0.
func sized(n int64) string {
	if n == 0 {
		return ""
	}
	units := []struct {
		size int64
		name string
	}{{humanize.GiByte, "GiB"}, {humanize.MiByte, "MiB"}, {humanize.KiByte, "KiB"}, {humanize.GByte, "GB"}, {humanize.MByte, "MB"}, {humanize.KByte, "KB"}}
	for _, u := range units {
		if n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// Usage is what a node has used of its limits.
type Usage struct {
	Memory    int64 // bytes, without what files leave in memory
	Limit     int64 // bytes of memory that the kernel keeps the node to
	Periods   int   // of 100 ms in which the node ran
	Throttled int   // those of them in which it had to wait for the next
	Faults    int   // pages that it had to read from a disk, those of its own program among them
}

// Limited is a Node that is kept to its limits, and whose runtime sees what comes of it.
type Limited interface {
	// Used asks the kernel.
	Used(ctx context.Context) (Usage, error)
	// Exhausted reports whether the node's latest run was ended by the kernel for want of memory. What it has told of
	// is no failure of the deployment's any more.
	Exhausted() bool
}
