package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// onlyFront is the name of a frontend that was given none.
const onlyFront = "lb"

// addresses reads --listen, --to and --monitor: the frontends in the order given, and the backends of each by
// its name.
func (f *balancerFlags) addresses() ([]proxies.Front, map[string][]proxies.Backend, error) {
	if len(f.listen) == 0 {
		return nil, nil, errors.New("--listen is missing: at which address? (--listen 127.0.0.1:4222; lbtest balancer --help says more)")
	}
	var probing time.Duration
	if f.keepalive != "off" {
		var err error
		if probing, err = time.ParseDuration(f.keepalive); err != nil || probing <= 0 {
			return nil, nil, fmt.Errorf("--tcp-keepalive %q: want a duration such as 15s, or off", f.keepalive)
		}
	}
	var fronts []proxies.Front
	var names []string
	for _, given := range f.listen {
		name, addr, err := named("--listen", given)
		if err == nil {
			err = checkAddress(addr, true)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("--listen %q: %w", given, err)
		}
		if slices.Contains(names, name) {
			return nil, nil, fmt.Errorf("--listen %s: %s; several need names, as in --listen a=:4222 --listen b=:6222", given, twice(name))
		}
		names = append(names, name)
		fronts = append(fronts, proxies.Front{Name: name, Listen: addr, Shared: f.share, Keepalive: probing})
	}
	to, err := lists("--to", f.to, names)
	if err != nil {
		return nil, nil, err
	}
	monitors, err := lists("--monitor", f.monitor, names)
	if err != nil {
		return nil, nil, err
	}
	backends := map[string][]proxies.Backend{}
	for _, name := range names {
		addrs, asked := to[name], monitors[name]
		switch {
		case len(addrs) == 0 && name == onlyFront:
			return nil, nil, errors.New("--to is missing: before which addresses? (--to 10.0.0.1:4222,10.0.0.2:4222)")
		case len(addrs) == 0:
			return nil, nil, fmt.Errorf("--listen %s has no --to: before which addresses? (--to %[1]s=10.0.0.1:4222)", name)
		case len(asked) > 0 && len(asked) != len(addrs):
			return nil, nil, fmt.Errorf("--monitor names %d addresses and --to %d: want one for each backend, in the same order", len(asked), len(addrs))
		}
		for i, addr := range addrs {
			b := proxies.Backend{Name: addr, Addr: addr}
			if len(asked) > 0 {
				b.Monitor = asked[i]
			}
			backends[name] = append(backends[name], b)
		}
	}
	return fronts, backends, nil
}

// twice says that a name is not free any more.
func twice(name string) string {
	if name == onlyFront {
		return "an address without a name is given twice"
	}
	return fmt.Sprintf("%q is given twice", name)
}

// lists reads a flag of address lists by the name of the frontend each belongs to.
func lists(flag string, given []string, fronts []string) (map[string][]string, error) {
	all := map[string][]string{}
	for _, g := range given {
		name, list, err := named(flag, g)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", flag, g, err)
		}
		switch {
		case all[name] != nil:
			return nil, fmt.Errorf("%s %s: %s; the addresses of one frontend go into one, with commas between them", flag, g, twice(name))
		case !slices.Contains(fronts, name) && name == onlyFront:
			return nil, fmt.Errorf("%s %s: for which --listen? (%s)", flag, g, strings.Join(fronts, ", "))
		case !slices.Contains(fronts, name):
			return nil, fmt.Errorf("%s %s: %w", flag, g, unknown("--listen", name, fronts))
		}
		for addr := range strings.SplitSeq(list, ",") {
			if err := checkAddress(addr, false); err != nil {
				return nil, fmt.Errorf("%s %q: %w", flag, g, err)
			}
			if slices.Contains(all[name], addr) {
				return nil, fmt.Errorf("%s %s: %s is given twice", flag, g, addr)
			}
			all[name] = append(all[name], addr)
		}
	}
	return all, nil
}

// named splits NAME=VALUE; without a name it is the only frontend's.
func named(flag, given string) (name, value string, err error) {
	name, value, ok := strings.Cut(given, "=")
	if !ok {
		return onlyFront, given, nil
	}
	if name == "" || strings.ContainsAny(name, " \t,:#/") {
		return "", "", fmt.Errorf("%q is no name: want letters and digits before the =, as in %s nats=127.0.0.1:4222", name, flag)
	}
	return name, value, nil
}

// checkAddress says what is wrong with a host:port, without looking anything up.
func checkAddress(addr string, listens bool) error {
	if addr == "" {
		return errors.New("an address is empty: want host:port, as in 127.0.0.1:4222")
	}
	if scheme, rest, ok := strings.Cut(addr, "://"); ok {
		return fmt.Errorf("%s is a URL: want host:port, %s without %s://", addr, rest, scheme)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		var wrong *net.AddrError
		if errors.As(err, &wrong) {
			return fmt.Errorf("%s: %s: want host:port, as in 127.0.0.1:4222 or [::1]:4222", addr, wrong.Err)
		}
		return err
	}
	if strings.ContainsAny(host, " \t/=[]") {
		return fmt.Errorf("%s: %q is no host", addr, host)
	}
	lowest := 1
	if listens {
		lowest = 0 // a free one
	} else if host == "" {
		return fmt.Errorf("%s: which host? As in 127.0.0.1%[1]s", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < lowest || n > 65535 {
		return fmt.Errorf("%s: port %q: want a number from %d to 65535", addr, port, lowest)
	}
	return nil
}
