package topologies

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// build is routes-behind-lb with these --nats settings.
func build(t testing.TB, nats ...string) Build {
	t.Helper()
	top, ok := Find("routes-behind-lb")
	if !ok {
		t.Fatal("there is no routes-behind-lb")
	}
	b := Build{Topology: top}
	for _, s := range nats {
		kv, err := ParseKeyValue(s)
		if err != nil {
			t.Fatal(err)
		}
		b.Tuning.Nats = append(b.Tuning.Nats, kv)
	}
	return b
}

func TestRouting(t *testing.T) {
	usual := Routing{PingInterval: 30 * time.Second, PingMax: 2, PoolSize: 3, Dedicated: []string{"SYS"}, Advertise: true}
	for _, c := range []struct {
		name   string
		nats   []string
		change func(*Routing)
	}{
		{"defaults", nil, func(*Routing) {}},
		{"the top level counts below the cap", []string{"ping_interval=8s"}, func(r *Routing) { r.PingInterval = 8 * time.Second }},
		{"the cap cuts the top level", []string{"ping_interval=5m"}, func(*Routing) {}},
		{"the cap cuts the cluster's own", []string{"cluster.ping_interval=31s"}, func(*Routing) {}},
		{"the cluster's own wins", []string{"cluster.ping_interval=8s", "ping_interval=2s"}, func(r *Routing) { r.PingInterval = 8 * time.Second }},
		{"a bare number is seconds", []string{"cluster.ping_interval=7"}, func(r *Routing) { r.PingInterval = 7 * time.Second }},
		{"minutes are minutes", []string{"ping_interval=1m"}, func(*Routing) {}},
		{"zero is not set", []string{"cluster.ping_interval=0", "cluster.ping_max=0"}, func(*Routing) {}},
		{"none is not set", []string{"cluster.ping_interval=none", "ping_interval=3s"}, func(r *Routing) { r.PingInterval = 3 * time.Second }},
		{"the cluster's own ping_max wins", []string{"ping_max=5", "cluster.ping_max=4"}, func(r *Routing) { r.PingMax = 4 }},
		{"the top level's ping_max", []string{"ping_max=5"}, func(r *Routing) { r.PingMax = 5 }},
		{"a larger pool", []string{"cluster.pool_size=5"}, func(r *Routing) { r.PoolSize = 5 }},
		{"no pool, no dedicated routes", []string{"cluster.pool_size=-1"}, func(r *Routing) { r.PoolSize, r.Dedicated = 0, nil }},
		{"dedicated routes", []string{`cluster.accounts=[JS, "ACC0"]`}, func(r *Routing) { r.Dedicated = []string{"SYS", "JS", "ACC0"} }},
		{"not advertised", []string{"cluster.advertise=none"}, func(r *Routing) { r.Advertise = false }},
		{"advertised otherwise", []string{"cluster.advertise=10.1.2.3:6222"}, func(*Routing) {}},
		{"the cluster's group wins", []string{"lab:ping_interval=4s", "ping_interval=9s"}, func(r *Routing) { r.PingInterval = 4 * time.Second }},
		{"what makes no sense is not given", []string{"cluster.ping_interval=soon", "cluster.pool_size=many"}, func(*Routing) {}},
	} {
		want := usual
		c.change(&want)
		b := build(t, c.nats...)
		b.Tuning.Factor = 8 // must not matter
		if got := b.Routing(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, want)
		}
	}
}

func TestAccounts(t *testing.T) {
	b := build(t)
	b.JetStream = true
	want := []Account{
		{Name: "SYS", User: "sys", Password: "sys", System: true, RouteIndex: -1},
		{Name: "JS", User: "js", Password: "js", JetStream: true, RouteIndex: 0},
		{Name: "ACC0", User: "acc0", Password: "acc0", RouteIndex: 0},
		{Name: "ACC1c", User: "acc1c", Password: "acc1c", RouteIndex: 1},
		{Name: "ACC2", User: "acc2", Password: "acc2", RouteIndex: 2},
	}
	if got := b.Accounts(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	b.JetStream = false
	for _, a := range b.Accounts() {
		if a.JetStream {
			t.Errorf("%s has JetStream in a build without", a.Name)
		}
	}
}

func TestEveryPoolIndexHasOneAccount(t *testing.T) {
	for size := -1; size <= maxPoolSize; size++ {
		b := build(t, "cluster.pool_size="+strconv.Itoa(size))
		count := map[int]int{}
		names := map[string]bool{}
		for _, a := range b.Accounts() {
			if names[a.Name] {
				t.Errorf("pool of %d: two accounts are called %s", size, a.Name)
			}
			names[a.Name] = true
			if !a.System && !a.JetStream {
				count[a.RouteIndex]++
			}
		}
		indices := size
		switch {
		case size == 0:
			indices = defaultPoolSize
		case size < 0:
			indices = 1
		}
		for i := range indices {
			if count[i] != 1 {
				t.Errorf("pool of %d: index %d has %d accounts, want 1", size, i, count[i])
			}
		}
	}
}

// These sums are FNV-1a's published test vectors (Noll), modulo 1000.
func TestPoolIndexIsFNV1a(t *testing.T) {
	for text, sum := range map[string]uint32{"": 0x811c9dc5, "a": 0xe40c292c, "foobar": 0xbf9cf968} {
		if got, want := PoolIndex(text, 1000), int(sum%1000); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestUserErrorsOfABuild(t *testing.T) {
	for _, c := range []struct {
		name string
		nats []string
		want string
	}{
		{"twice", []string{"ping_max=2", "ping_max=3"}, "--nats ping_max=3: ping_max was given already, as 2"},
		{"twice in two spellings", []string{"cluster.advertise=a:1", "cluster.cluster_advertise=b:1"}, "was given already, as a:1"},
		{"a group that is not there", []string{"hub:ping_max=2"}, `has no group of servers called "hub"; there is lab`},
		{"block and value", []string{"cluster.compression=off", "cluster.compression.mode=s2_fast"}, "contradicts --nats cluster.compression=off"},
		{"below a value", []string{"cluster.routes.x=1"}, "is a value and no block"},
		{"a whole block of the lab's", []string{"cluster=none"}, "one by one, as in cluster.KEY=VALUE"},
		{"a node's own port", []string{"port=4222"}, "addresses of its own"},
		{"a node's own port, otherwise", []string{"cluster.listen=0.0.0.0:6222"}, "addresses of its own"},
		{"the monitor's port, otherwise", []string{"monitor_port=none"}, "addresses of its own"},
		{"the accounts", []string{"accounts.X.users=[]"}, "accounts of the lab's own"},
		{"the store", []string{"jetstream.storedir=/x"}, "a directory of its own"},
		{"not a duration", []string{"cluster.ping_interval=soon"}, "--nats cluster.ping_interval=soon: want a duration"},
		{"backwards", []string{"ping_interval=-3s"}, "above zero"},
		{"no number", []string{"cluster.pool_size=3s"}, "--nats cluster.pool_size=3s: want a whole number"},
		{"too large a pool", []string{"cluster.pool_size=65"}, "up to 64"},
		{"negative pings", []string{"ping_max=-1"}, "zero (the default, 2) or more"},
		{"no address", []string{"cluster.advertise=a:b"}, "--nats cluster.advertise=a:b: want host:port"},
	} {
		_, err := Render(build(t, c.nats...), Member{Name: "n1"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", c.name, err, c.want)
		}
	}
}

func TestPings(t *testing.T) {
	for _, c := range []struct {
		name, topology string
		nats           []string
		want           Pings
	}{
		{"defaults", "clients-behind-lb", nil, Pings{2 * time.Minute, 2}},
		{"the top level's", "clients-behind-lb", []string{"ping_interval=25s", "ping_max=5"}, Pings{25 * time.Second, 5}},
		{"websocket's own is not for others", "clients-behind-lb", []string{"websocket.ping_interval=25s"}, Pings{2 * time.Minute, 2}},
		{"websocket clients follow the top level", "websocket-behind-lb", []string{"ping_interval=25s"}, Pings{25 * time.Second, 2}},
		{"their own wins", "websocket-behind-lb", []string{"websocket.ping_interval=50s", "ping_interval=25s"}, Pings{50 * time.Second, 2}},
		{"what makes no sense is not given", "websocket-behind-lb", []string{"websocket.ping_interval=soon"}, Pings{2 * time.Minute, 2}},
	} {
		b := build(t, c.nats...)
		b.Topology, _ = Find(c.topology)
		if got := b.Pings(); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLinkPings(t *testing.T) {
	for _, c := range []struct {
		name, topology string
		link           Link
		nats           []string
		want           Pings
	}{
		{"routes are capped", "routes-behind-lb", Routes, nil, Pings{30 * time.Second, 2}},
		{"routes have their own", "gateways-behind-lb", Routes, []string{"cluster.ping_interval=8s", "cluster.ping_max=4", "ping_interval=2s"}, Pings{8 * time.Second, 4}},
		{"gateways are capped", "gateways-behind-lb", Gateways, nil, Pings{15 * time.Second, 2}},
		{"the cap cuts the top level", "gateways-behind-lb", Gateways, []string{"ping_interval=16s"}, Pings{15 * time.Second, 2}},
		{"gateways follow the top level", "gateways-behind-lb", Gateways, []string{"ping_interval=7s", "ping_max=5"}, Pings{7 * time.Second, 5}},
		{"the routes' own are not for gateways", "gateways-behind-lb", Gateways, []string{"cluster.ping_interval=3s", "cluster.ping_max=5"}, Pings{15 * time.Second, 2}},
		{"the first cluster's", "gateways-behind-lb", Gateways, []string{"west:ping_interval=3s", "east:ping_interval=4s"}, Pings{4 * time.Second, 2}},
		{"leafnodes have no cap", "leafnodes-behind-lb", Leafnodes, nil, Pings{2 * time.Minute, 2}},
		{"the leafnodes' own", "leafnodes-behind-lb", Leafnodes, []string{"leaf:ping_interval=40s", "leaf:ping_max=3", "hub:ping_interval=5s", "ping_interval=6s"}, Pings{40 * time.Second, 3}},
		{"the hub's is not for them", "leafnodes-behind-lb", Leafnodes, []string{"hub:ping_interval=5s"}, Pings{2 * time.Minute, 2}},
		{"clients", "leafnodes-behind-lb", Clients, []string{"hub:ping_interval=5s"}, Pings{5 * time.Second, 2}},
		{"what makes no sense is not given", "gateways-behind-lb", Gateways, []string{"ping_interval=soon"}, Pings{15 * time.Second, 2}},
	} {
		b := build(t, c.nats...)
		b.Topology, _ = Find(c.topology)
		b.Tuning.Factor = 8 // must not matter
		if got := b.LinkPings(c.link); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLeafnodesHaveOneAccountForEverything(t *testing.T) {
	b := build(t)
	b.Topology, _ = Find("leafnodes-behind-lb")
	sys, leaf := Account{Name: "SYS", User: "sys", Password: "sys", System: true, RouteIndex: -1},
		Account{Name: "LEAF", User: "leaf", Password: "leaf", RouteIndex: PoolIndex("LEAF", 3)}
	if got, want := b.Accounts(), []Account{sys, leaf}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	b.JetStream = true
	storing := leaf
	storing.JetStream = true
	if got, want := b.Accounts(), []Account{sys, storing, leaf}; !reflect.DeepEqual(got, want) {
		t.Errorf("with JetStream got %+v\nwant %+v", got, want)
	}
	for _, mode := range AuthModes() {
		b.Logins.Mode = mode
		if _, err := Render(b, Member{Name: "l1"}); (err == nil) != (mode == Password) {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestKeysOfServerLinksAreTheLabsWhereItHasSuchLinks(t *testing.T) {
	for _, c := range []struct{ given, topology, want string }{
		{"gateway.name=x", "gateways-behind-lb", "addresses of its own"},
		{"gateway.net=127.0.0.1", "gateways-behind-lb", "addresses of its own"},
		{"gateway.listen=7222", "gateways-behind-lb", "addresses of its own"},
		{"gateway.gateways=[]", "gateways-behind-lb", "addresses of its own"},
		{"gateway.authorization.user=x", "gateways-behind-lb", "accounts of the lab's own"},
		{"gateway={port: 7222}", "gateways-behind-lb", "as in gateway.KEY=VALUE"},
		{"gateway.advertise=x", "gateways-behind-lb", ""},
		{"east:gateway.advertise=none", "gateways-behind-lb", ""},
		{"gateway.advertise=x", "leafnodes-behind-lb", ""}, // the hub's own affair
		{"gateway.port=7222", "leafnodes-behind-lb", ""},

		{"leafnodes.port=1", "leafnodes-behind-lb", "addresses of its own"},
		{"leaf.net=127.0.0.1", "leafnodes-behind-lb", "addresses of its own"},
		{"leafnodes.authorization.user=x", "leafnodes-behind-lb", "accounts of the lab's own"},
		{"leafnodes=none", "leafnodes-behind-lb", "as in leafnodes.KEY=VALUE"},
		{"leaf:leafnodes.remotes=[]", "leafnodes-behind-lb", "as in leafnodes.remotes.KEY=VALUE"},
		{"leaf:leafnodes.remotes.url=nats://a:1", "leafnodes-behind-lb", "addresses of its own"},
		{"leaf:leafnodes.remotes.local=JS", "leafnodes-behind-lb", "accounts of the lab's own"},
		{"leaf:leafnodes.remotes.credentials=x", "leafnodes-behind-lb", "accounts of the lab's own"},
		{"jetstream.domain=x", "leafnodes-behind-lb", "a domain of their own"},
		{"leafnodes.advertise=none", "leafnodes-behind-lb", ""},
		{"hub:leafnodes.no_advertise=true", "leafnodes-behind-lb", ""},
		{"leafnodes.remotes.ignore_discovered_servers=true", "leafnodes-behind-lb", ""},
		{"leaf:leafnodes.remotes.first_info_timeout=5s", "leafnodes-behind-lb", ""},
		{"hub:leafnodes.remotes.ignore_discovered_servers=true", "leafnodes-behind-lb", "the servers of hub are no leafnodes"},
		{"leaf:cluster.ping_interval=5s", "leafnodes-behind-lb", "they have no cluster block"},
		{"cluster.ping_interval=5s", "leafnodes-behind-lb", ""},
		{"spoke:ping_interval=5s", "leafnodes-behind-lb", "there is hub, leaf"},
		{"leafnodes.port=7422", "gateways-behind-lb", ""},
		{"jetstream.domain=x", "gateways-behind-lb", ""},
	} {
		b := build(t, c.given)
		b.Topology, _ = Find(c.topology)
		for _, cluster := range b.Topology.Clusters {
			_, err := b.settings(cluster.Name)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s in %s: got %v, want %q", c.given, c.topology, err, c.want)
			}
		}
	}
}

// What the lab fills in belongs to it; where no websocket client crosses a balancer the block is the user's.
func TestTheWebsocketBlockIsTheLabsWhereItIsBalanced(t *testing.T) {
	for _, given := range []string{"websocket.port=80", "websocket.net=127.0.0.1", "websocket.listen=80", "websocket.authentication.token=t", "websocket={port: 80}"} {
		b := build(t, given)
		if _, err := b.settings("lab"); err != nil {
			t.Errorf("%s where routes are balanced: %v", given, err)
		}
		b.Topology, _ = Find("websocket-behind-lb")
		if _, err := b.settings("lab"); err == nil {
			t.Errorf("%s was accepted where websockets are balanced", given)
		}
	}
	b := build(t, "websocket.compression=false", "websocket.ping_interval=25s", "websocket.same_origin=true", "websocket.advertise=none")
	b.Topology, _ = Find("websocket-behind-lb")
	if _, err := b.settings("lab"); err != nil {
		t.Error(err)
	}
}
