package topologies

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// VIP names the frontend that stands for all nodes of the only cluster that listens for a link.
const VIP = "vip"

// Front is one frontend of a balancer, as the nodes' configuration names it.
type Front struct {
	Link Link
	Name string // a node's name (one frontend a node), a cluster's (one a cluster), or VIP; see Topology.Frontends
}

// Build is a topology made concrete: where its balancers are, and how its servers are tuned.
type Build struct {
	Topology Topology
	Fronts   map[Front]string // host:port of each frontend, known before any node starts; a link without one is direct
	// Advertised is what a node tells others to dial on a balanced link, by link and node, in the place of its frontend;
	// "" leaves it to the server, which tells the address it has.
	Advertised map[Front]string
	Tuning     Tuning
	Identity   *Identity // what TLS shows to clients; nil where the servers speak none
	Logins     Logins
	Limits     Limits  // of every node
	JetStream  bool    // off in scaled labs: Raft's timers cannot be scaled
	Behind     Running // what the nodes share their networks with, on a Host; nil for a balancer in this process
}

// Tuning is what the user gave with --nats, and the factor that time is divided by.
type Tuning struct {
	Nats   []KeyValue // in the order given
	Factor float64    // 1, or 0, is real time; above 1 the effective ping interval of the balanced links divided by it is written out
}

// Account is an account of the servers, with its one user.
type Account struct {
	Name, User, Password string

	JetStream  bool
	System     bool
	RouteIndex int // the route of the pool that carries the account; -1 for an account with routes of its own
}

// The accounts that are there whatever the pool. Between them the pool has one plain account an index,
// because a route that is missing from a pool silences the accounts of its index and no others.
const (
	systemAccount    = "SYS"
	jetStreamAccount = "JS"
)

// leafAccount is the one account besides the system's where there are leafnodes. A remote is bound to one account, so a
// leaf of several accounts would have several connections, which production's rarely have.
const leafAccount = "LEAF"

// Routing is what the servers will effectively do on their routes, in real time whatever the factor.
type Routing struct {
	PingInterval time.Duration
	PingMax      int      // unanswered pings a route survives
	PoolSize     int      // pooled connections a peer; 0 if pooling is off and one connection carries everything
	Dedicated    []string // accounts that have one more connection a peer, each; the system account among them unless pooling is off
	Advertise    bool     // whether nodes tell each other an address of the configuration, rather than the one a connection came from
}

// Pings is what the servers do on the connections of one link kind, in real time whatever the factor.
type Pings struct {
	Interval time.Duration
	Max      int // unanswered pings a connection survives
}

// Pings gives what the servers do on the connections of the clients that cross a balancer.
func (b Build) Pings() Pings {
	if slices.Contains(b.Topology.Balanced, Websocket) {
		return b.LinkPings(Websocket)
	}
	return b.LinkPings(Clients)
}

// LinkPings reads the tuning as the servers of the topology's first cluster will; on leafnode links, as the first
// leafnodes will, since their hub may leave a ping out (client.go, processPingTimer). Values that make no sense count
// as not given; Render and Runtime.Check refuse them.
func (b Build) LinkPings(link Link) Pings {
	cluster := b.firstCluster()
	if link == Leafnodes {
		if i := slices.IndexFunc(b.Topology.Clusters, func(c Cluster) bool { return c.LeafOf != "" }); i >= 0 {
			cluster = b.Topology.Clusters[i].Name
		}
	}
	given, _ := b.settings(cluster)
	return b.pings(given, link)
}

func (b Build) pings(given []KeyValue, link Link) Pings {
	if link == Routes {
		r, _ := b.routing(given)
		return Pings{r.PingInterval, r.PingMax}
	}
	p := Pings{Interval: defaultPing, Max: defaultPingMax}
	keys := []string{"ping_interval"}
	if link == Websocket {
		keys = append(keys, "websocket.ping_interval") // which websocket clients have to themselves
	}
	for _, key := range keys {
		if kv, ok := find(given, key); ok {
			if d, err := duration(kv.Value); err == nil && d > 0 {
				p.Interval = d
			}
		}
	}
	if link == Gateways {
		p.Interval = min(p.Interval, gatewayPingCap)
	}
	if kv, ok := find(given, "ping_max"); ok {
		if n, err := strconv.Atoi(kv.Value); err == nil && n > 0 {
			p.Max = n
		}
	}
	return p
}

// ProxyProtocol reports whether the servers look for a PROXY header on their client ports.
func (b Build) ProxyProtocol() bool {
	given, _ := b.settings(b.firstCluster())
	kv, _ := find(given, "proxy_protocol")
	return slices.Contains([]string{"true", "yes", "on"}, strings.ToLower(kv.Value))
}

// Defaults and limits of nats-server v2.15.2.
const (
	defaultPing     = 2 * time.Minute  // const.go DEFAULT_PING_INTERVAL
	routePingCap    = 30 * time.Second // route.go defaultRouteMaxPingInterval: longer intervals are cut on routes
	gatewayPingCap  = 15 * time.Second // gateway.go gwMaxPingInterval: longer intervals are cut on gateways
	defaultPingMax  = 2                // const.go DEFAULT_PING_MAX_OUT
	defaultPoolSize = 3                // const.go DEFAULT_ROUTE_POOL_SIZE
)

// maxPoolSize is the largest route pool the lab builds. The server knows no limit; here every index
// gets an account that is watched between every two nodes, and pools in production stay below ten.
const maxPoolSize = 64

// Routing reads the tuning as the servers of the topology's first cluster will. Values that make no
// sense count as not given; Render and Runtime.Check refuse them.
func (b Build) Routing() Routing {
	given, _ := b.settings(b.firstCluster())
	r, _ := b.routing(given)
	return r
}

func (b Build) firstCluster() string {
	if len(b.Topology.Clusters) == 0 {
		return ""
	}
	return b.Topology.Clusters[0].Name
}

// routing reads the settings that decide about routes. It gives the defaults for what it cannot read,
// and the first such mistake.
func (b Build) routing(given []KeyValue) (Routing, error) {
	var mistake error
	object := func(kv KeyValue, why string) {
		if mistake == nil {
			mistake = fmt.Errorf("--nats %s: %s", kv, why)
		}
	}
	interval := func(key string) (time.Duration, bool) {
		kv, ok := find(given, key)
		if !ok || kv.Value == None {
			return 0, false
		}
		d, err := duration(kv.Value)
		if err != nil {
			object(kv, "want a duration, as in 8s or 1m30s")
			return 0, false
		}
		if d < 0 {
			object(kv, "want a duration above zero")
			return 0, false
		}
		return d, d > 0 // zero means not set, to the server too
	}
	number := func(key string) (int, bool) {
		kv, ok := find(given, key)
		if !ok || kv.Value == None {
			return 0, false
		}
		n, err := strconv.Atoi(kv.Value)
		if err != nil {
			object(kv, "want a whole number")
			return 0, false
		}
		return n, true
	}

	r := Routing{PingInterval: defaultPing, PingMax: defaultPingMax, PoolSize: defaultPoolSize}
	for _, key := range []string{"ping_interval", "cluster.ping_interval"} {
		if d, ok := interval(key); ok {
			r.PingInterval = d
		}
	}
	r.PingInterval = min(r.PingInterval, routePingCap)
	for _, key := range []string{"ping_max", "cluster.ping_max"} {
		n, ok := number(key)
		switch {
		case ok && n < 0:
			kv, _ := find(given, key)
			object(kv, "want zero (the default, 2) or more")
		case ok && n > 0:
			r.PingMax = n
		}
	}
	if n, ok := number("cluster.pool_size"); ok {
		switch {
		case n > maxPoolSize:
			kv, _ := find(given, "cluster.pool_size")
			object(kv, fmt.Sprintf("the lab builds pools up to %d", maxPoolSize))
		case n > 0:
			r.PoolSize = n
		case n < 0:
			r.PoolSize = 0
		}
	}
	if r.PoolSize > 0 {
		r.Dedicated = []string{systemAccount}
		if kv, ok := find(given, "cluster.accounts"); ok && kv.Value != None {
			for _, a := range strings.FieldsFunc(kv.Value, func(c rune) bool { return strings.ContainsRune(`[], "'`, c) }) {
				if !slices.Contains(r.Dedicated, a) {
					r.Dedicated = append(r.Dedicated, a)
				}
			}
		}
	}
	advertise, ok := find(given, "cluster.advertise")
	r.Advertise = !ok || advertise.Value != None
	return r, mistake
}

// Accounts gives the accounts of the servers: the system account, the JetStream account if there is
// JetStream, and one plain account for each index of the route pool. The pool size is that of the
// topology's first cluster. Where there are leafnodes, one account is for what is stored and for what is not.
// Servers that know a token have but the global account.
func (b Build) Accounts() []Account {
	r := b.Routing()
	index := func(account string) int {
		if slices.Contains(r.Dedicated, account) {
			return -1
		}
		return PoolIndex(account, r.PoolSize)
	}
	account := func(name string) Account {
		// The lab listens on the loopback interface and guards nothing: the user's name and password are the account's.
		user := strings.ToLower(name)
		return Account{Name: name, User: user, Password: user, RouteIndex: index(name)}
	}
	if b.Logins.Mode == Token {
		return b.both(account(globalAccount))
	}
	sys := account(systemAccount)
	sys.System = true
	accounts := []Account{sys}
	if b.Topology.leaves() {
		return append(accounts, b.both(account(leafAccount))...)
	}
	if b.JetStream {
		js := account(jetStreamAccount)
		js.JetStream = true
		accounts = append(accounts, js)
	}
	for i := range max(r.PoolSize, 1) {
		accounts = append(accounts, account(pooledAccount(i, r.PoolSize)))
	}
	return accounts
}

// both gives one account twice, for what is stored and for what is not.
func (b Build) both(a Account) []Account {
	if !b.JetStream {
		return []Account{a}
	}
	storing := a
	storing.JetStream = true
	return []Account{storing, a}
}

// pooledAccount gives the name of an account that the servers will put on that route of their pool:
// ACC1 for index 1 if it hashes there, else the first of ACC1a, ACC1b, … that does.
func pooledAccount(index, size int) string {
	base := "ACC" + strconv.Itoa(index)
	if PoolIndex(base, size) == index {
		return base
	}
	for n := 0; ; n++ {
		// The suffix is n in letters: a … z, ba, bb, …
		suffix := ""
		for i := n; ; i /= 26 {
			suffix = string(rune('a'+i%26)) + suffix
			if i < 26 {
				break
			}
		}
		if name := base + suffix; PoolIndex(name, size) == index {
			return name
		}
	}
}

// PoolIndex is the route of a pool of that size by which nodes send what belongs to an account: nats-server's
// computeRoutePoolIdx (route.go), FNV-1a of the account's name, which in operator mode is its public key.
func PoolIndex(account string, size int) int {
	if size <= 1 {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(account))
	return int(h.Sum32() % uint32(size))
}

// Directly gives the same build with a frontend for each member and balanced link that has none: the
// member's own address. Runtimes call it with the members they have chosen, so that a build without
// balancers is a deployment whose nodes list each other.
func (b Build) Directly(members []Member) Build {
	fronts := make(map[Front]string, len(b.Fronts)+len(members))
	balanced := make(map[Link]bool)
	for f, addr := range b.Fronts {
		fronts[f], balanced[f.Link] = addr, true
	}
	for _, m := range members {
		for link := range m.Ports {
			if link != Clients && !balanced[link] {
				fronts[Front{link, m.Name}] = m.Addr(link)
			}
		}
	}
	b.Fronts = fronts
	return b
}

// settings gives what --nats says for the servers of one cluster, in the order given: settings for all
// servers, and those for this cluster in the place of the former. Every error is the user's.
func (b Build) settings(cluster string) ([]KeyValue, error) {
	var groups []string
	for _, c := range b.Topology.Clusters {
		groups = append(groups, c.Name)
	}
	for i, kv := range b.Tuning.Nats {
		if kv.Group != "" && !slices.Contains(groups, kv.Group) {
			return nil, fmt.Errorf("--nats %s: %s has no group of servers called %q; there is %s",
				kv, b.Topology.Name, kv.Group, strings.Join(groups, ", "))
		}
		if err := b.guard(kv); err != nil {
			return nil, err
		}
		if c, ok := b.Topology.cluster(kv.Group); ok && !b.Topology.reads(c, kv.Key) {
			return nil, fmt.Errorf("--nats %s: %s", kv, c.lacks(kv.Key))
		}
		for _, earlier := range b.Tuning.Nats[:i] {
			if earlier.Group != kv.Group {
				continue
			}
			if earlier.Key == kv.Key {
				return nil, fmt.Errorf("--nats %s: %s was given already, as %s", kv, kv.Key, earlier.Value)
			}
			if strings.HasPrefix(kv.Key, earlier.Key+".") || strings.HasPrefix(earlier.Key, kv.Key+".") {
				return nil, fmt.Errorf("--nats %s: contradicts --nats %s: one is a block, the other a value in it", kv, earlier)
			}
		}
	}
	var all []KeyValue
	c, _ := b.Topology.cluster(cluster)
	for _, kv := range b.Tuning.Nats {
		if kv.Group == "" && b.Topology.reads(c, kv.Key) {
			all = append(all, kv)
		}
	}
	for _, kv := range b.Tuning.Nats {
		if kv.Group == "" || kv.Group != cluster {
			continue
		}
		if i := slices.IndexFunc(all, func(o KeyValue) bool { return o.Key == kv.Key }); i >= 0 {
			all[i] = kv
		} else {
			all = append(all, kv)
		}
	}
	return all, nil
}

// remotes is the list of a leafnode's remotes; of the lab's it is one, and keys below are set in that.
const remotes = "leafnodes.remotes"

// reads reports whether a setting is for the servers of a cluster. One for all servers may concern some of them only.
func (t Topology) reads(c Cluster, key string) bool {
	block, _, _ := strings.Cut(key, ".")
	if c.LeafOf != "" {
		return block != "cluster" && block != "gateway"
	}
	return !t.leaves() || !strings.HasPrefix(key, remotes+".")
}

// lacks says why a setting is not for the servers of a cluster.
func (c Cluster) lacks(key string) string {
	if c.LeafOf != "" {
		block, _, _ := strings.Cut(key, ".")
		return fmt.Sprintf("the servers of %s are leafnodes of %s, each by itself; they have no %s block", c.Name, c.LeafOf, block)
	}
	return fmt.Sprintf("the servers of %s are no leafnodes, and have no remotes", c.Name)
}

func find(given []KeyValue, key string) (KeyValue, bool) {
	i := slices.IndexFunc(given, func(kv KeyValue) bool { return kv.Key == key })
	if i < 0 {
		return KeyValue{}, false
	}
	return given[i], true
}

// guarded is keys that are the lab's, each with the reason. A key guards the keys below it as well.
var guarded = map[string]string{
	"server_name":    ownPlace,
	"host":           ownPlace,
	"port":           ownPlace,
	"listen":         ownPlace,
	"http":           ownPlace,
	"https":          ownPlace,
	"http_port":      ownPlace,
	"https_port":     ownPlace,
	"http_base_path": ownPlace,
	"prof_port":      ownPlace,
	"cluster.name":   ownPlace,
	"cluster.host":   ownPlace,
	"cluster.port":   ownPlace,
	"cluster.listen": ownPlace,

	"accounts":              ownAccounts,
	"authorization":         ownAccounts,
	"system_account":        ownAccounts,
	"no_system_account":     ownAccounts,
	"no_system":             ownAccounts,
	"no_sys_acc":            ownAccounts,
	"no_auth_user":          ownAccounts,
	"operator":              ownAccounts,
	"operators":             ownAccounts,
	"roots":                 ownAccounts,
	"root":                  ownAccounts,
	"root_operator":         ownAccounts,
	"root_operators":        ownAccounts,
	"resolver":              ownAccounts,
	"account_resolver":      ownAccounts,
	"accounts_resolver":     ownAccounts,
	"resolver_preload":      ownAccounts,
	"resolver_tls":          ownAccounts,
	"trusted":               ownAccounts,
	"trusted_keys":          ownAccounts,
	"cluster.authorization": ownAccounts,

	"tls.cert_file":               ownCertificates,
	"tls.key_file":                ownCertificates,
	"tls.ca_file":                 ownCertificates,
	"tls.certs":                   ownCertificates,
	"tls.cert_store":              ownCertificates,
	"tls.cert_match":              ownCertificates,
	"tls.cert_match_by":           ownCertificates,
	"tls.cert_match_skip_invalid": ownCertificates,
	"tls.ca_certs_match":          ownCertificates,
	"tls.pinned_certs":            ownCertificates,
	"tls.ocsp_peer":               ownCertificates,
	"ocsp":                        ownCertificates,

	"store_dir":           ownFiles,
	"jetstream.store_dir": ownFiles,
	"jetstream.enabled":   "whether there is JetStream is decided by what is judged",
	"log_file":            ownFiles,
	"logfile":             ownFiles,
	"log_size_limit":      ownFiles,
	"logfile_size_limit":  ownFiles,
	"log_max_num":         ownFiles,
	"logfile_max_num":     ownFiles,
	"syslog":              ownFiles,
	"remote_syslog":       ownFiles,
	"pid_file":            ownFiles,
	"pidfile":             ownFiles,
	"ports_file_dir":      ownFiles,
	"include":             ownFiles,
}

// guardedSocket is the keys that are the lab's only where websocket clients cross a balancer.
var guardedSocket = map[string]string{
	"websocket.host":           ownPlace,
	"websocket.port":           ownPlace,
	"websocket.listen":         ownPlace,
	"websocket.authorization":  ownAccounts,
	"websocket.authentication": ownAccounts,
	"websocket.no_auth_user":   ownAccounts,
}

// guardedGateway is the keys that are the lab's only where clusters are joined by gateways.
var guardedGateway = map[string]string{
	"gateway.name":          ownPlace,
	"gateway.host":          ownPlace,
	"gateway.port":          ownPlace,
	"gateway.listen":        ownPlace,
	"gateway.gateways":      ownPlace,
	"gateway.authorization": ownAccounts,
}

// guardedLeafnodes is the keys that are the lab's only where there are leafnodes.
var guardedLeafnodes = map[string]string{
	"leafnodes.host":          ownPlace,
	"leafnodes.port":          ownPlace,
	"leafnodes.listen":        ownPlace,
	"leafnodes.authorization": ownAccounts,
	remotes + ".urls":         ownPlace,
	remotes + ".account":      ownAccounts,
	remotes + ".creds":        ownAccounts,
	remotes + ".nkey":         ownAccounts,
	"jetstream.domain":        "the hub and each of its leafnodes have a domain of their own, of their name",
}

const (
	ownPlace    = "the lab gives each node a name and addresses of its own"
	ownAccounts = "the lab's clients log in to accounts of the lab's own"
	ownFiles    = "the lab keeps each node's files in a directory of its own"

	ownCertificates = "the lab makes an authority and certificates of its own for each run"
)

// filled is the blocks that the lab fills in part.
var filled = []string{"cluster", "jetstream", "tls"}

// guard refuses what would take the lab itself apart.
func (b Build) guard(kv KeyValue) error {
	guards, blocks := []map[string]string{guarded}, slices.Clone(filled)
	if slices.Contains(b.Topology.Balanced, Websocket) {
		guards, blocks = append(guards, guardedSocket), append(blocks, "websocket")
	}
	if b.Topology.joined() {
		guards, blocks = append(guards, guardedGateway), append(blocks, "gateway")
	}
	if b.Topology.leaves() {
		guards, blocks = append(guards, guardedLeafnodes), append(blocks, "leafnodes", remotes)
	}
	for _, keys := range guards {
		for key, why := range keys {
			if kv.Key == key || strings.HasPrefix(kv.Key, key+".") {
				return fmt.Errorf("--nats %s: %s cannot be given: %s", kv, key, why)
			}
		}
	}
	if slices.Contains(blocks, kv.Key) {
		return fmt.Errorf("--nats %s: the lab fills this block too: give its keys one by one, as in %s.KEY=VALUE", kv, kv.Key)
	}
	return nil
}
