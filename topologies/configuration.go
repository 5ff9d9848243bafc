package topologies

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// JetStream's limits on each node. Without them a server claims three quarters of the machine's memory
// and disk, and three nodes do so three times. A scenario stores some thousand small messages in a
// handful of streams of three replicas; these leave room for a hundred times that.
const (
	maxMemoryStore = "128MB"
	maxFileStore   = "1GB"
)

// Render gives the configuration text of one node. It is the same for every runtime, and apart from
// addresses and directories it can be copied to production. Errors are the user's.
func Render(b Build, m Member) (string, error) {
	cluster, ok := b.Topology.clusterOf(m.Name)
	if !ok {
		return "", fmt.Errorf("rendering a configuration: topology %s has no node %q", b.Topology.Name, m.Name)
	}
	if b.Topology.leaves() && b.Logins.Mode != "" && b.Logins.Mode != Password {
		return "", fmt.Errorf("leafnodes of the lab log in to their hub with a user and a password, not by %s", b.Logins.Mode)
	}
	given, err := b.settings(cluster.Name)
	if err != nil {
		return "", err
	}
	if _, err := b.routing(given); err != nil {
		return "", err
	}

	root := &block{}
	root.set(quote(m.Name), "", "server_name")
	root.set(quote(m.Host), "", "host")
	root.set(strconv.Itoa(m.Ports[Clients]), "", "port")
	root.set(strconv.Itoa(m.Monitor), "", "http_port")
	b.renderClients(root, m)
	b.renderWebsocket(root, m)
	b.renderTLS(root, m)
	if cluster.LeafOf == "" {
		b.renderCluster(root, cluster, m)
	}
	b.renderGateway(root, cluster, m)
	b.renderLeafnodes(root, cluster, m)
	b.renderAccounts(root, cluster)
	if b.JetStream {
		root.set(quote(filepath.Join(m.Dir, "jetstream")), "", "jetstream", "store_dir")
		if b.Limits.Memory == 0 { // otherwise what the server takes by itself is the question
			root.set(maxMemoryStore, "Set, because the default is most of the machine, for each node again.", "jetstream", "max_memory_store")
		}
		root.set(maxFileStore, "", "jetstream", "max_file_store")
		if b.Topology.leaves() {
			domain := cluster.Name
			if cluster.LeafOf != "" {
				domain = m.Name
			}
			root.set(quote(domain), "Streams of other domains are reached by $JS.<domain>.API.", "jetstream", "domain")
		}
	}
	for _, kv := range given {
		if err := b.apply(root, kv); err != nil {
			return "", err
		}
	}
	b.renderScaled(root, cluster, given)

	place := "cluster " + cluster.Name
	if cluster.LeafOf != "" {
		place = cluster.Name + ", a leafnode of cluster " + cluster.LeafOf
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# nats-server: node %s of %s, topology %s\n\n", m.Name, place, b.Topology.Name)
	root.write(&text, "")
	return text.String(), nil
}

// renderScaled divides the ping interval of the first balanced link by the factor; others keep theirs where they have one of
// their own. Gateways and leafnodes have none of
// their own and follow the server's; routes follow it too, unless they are told not to.
func (b Build) renderScaled(root *block, cluster Cluster, given []KeyValue) {
	f := b.Tuning.Factor
	if f <= 1 {
		return
	}
	link := b.Topology.Balanced[0]
	if link == Routes && cluster.LeafOf != "" {
		return
	}
	d := b.pings(given, link).Interval
	why := fmt.Sprintf("Effectively %v, divided by the time scale %g.", d, f)
	divided := quote(time.Duration(float64(d) / f).String())
	switch link {
	case Routes:
		root.set(divided, why, "cluster", "ping_interval")
	case Websocket:
		root.set(divided, why, "websocket", "ping_interval")
	default:
		root.set(divided, why, "ping_interval")
		if cluster.LeafOf == "" {
			root.set(quote(b.pings(given, Routes).Interval.String()), "What routes do in real time.", "cluster", "ping_interval")
		}
	}
}

// renderClients says what clients are told about the other nodes: their balancer, where there is one.
func (b Build) renderClients(root *block, m Member) {
	if addr, ok := b.advertised(Clients, m.Name); ok {
		root.set(quote(addr), "What clients are told to dial; without it, the node's own address, past the balancer.", "client_advertise")
	}
}

// renderWebsocket writes the block that makes a node listen for websocket clients, where any cross a balancer.
func (b Build) renderWebsocket(root *block, m Member) {
	port, ok := m.Ports[Websocket]
	if !ok {
		return
	}
	root.set(quote(m.Host), "", "websocket", "host")
	root.set(strconv.Itoa(port), "", "websocket", "port")
	root.set("true", "TLS, where there is any, ends at the balancer.", "websocket", "no_tls")
	if addr, ok := b.advertised(Websocket, m.Name); ok {
		root.set(quote(addr), "What websocket clients are told to dial; without it, the node's own address, past the balancer.", "websocket", "advertise")
	}
	root.set("true", "For the clients that ask for it.", "websocket", "compression")
}

// front is the address of the frontend by which a node is reached on a link.
func (b Build) front(link Link, node string) (addr string, ok bool) {
	cluster, _ := b.Topology.clusterOf(node)
	for _, name := range []string{node, cluster.Name, VIP} {
		if addr, ok = b.Fronts[Front{link, name}]; ok {
			break
		}
	}
	return addr, ok
}

// urls gives all frontends by which the nodes of a cluster are reached on a link.
func (b Build) urls(link Link, cluster Cluster, scheme string, user *url.Userinfo) []string {
	var all []string
	for _, name := range append(slices.Clone(cluster.Nodes), cluster.Name, VIP) {
		if addr, ok := b.Fronts[Front{link, name}]; ok {
			u := url.URL{Scheme: scheme, User: user, Host: addr}
			all = append(all, quote(u.String()))
		}
	}
	return all
}

// advertised is what a node is configured to tell others to dial, if it is.
func (b Build) advertised(link Link, node string) (addr string, ok bool) {
	if addr, ok = b.Advertised[Front{link, node}]; ok {
		return addr, addr != ""
	}
	return b.front(link, node)
}

// renderCluster writes the block that makes a node meet its peers, through the frontends if there are any.
func (b Build) renderCluster(root *block, cluster Cluster, m Member) {
	root.set(quote(cluster.Name), "", "cluster", "name")
	root.set(quote(m.Host), "", "cluster", "host")
	root.set(strconv.Itoa(m.Ports[Routes]), "", "cluster", "port")
	if own, ok := b.advertised(Routes, m.Name); ok {
		root.set(quote(own), "What peers tell each other; without it, the address a connection came from, past or behind a balancer.",
			"cluster", "advertise")
	}
	root.set(list(b.urls(Routes, cluster, "nats-route", nil)), "The node's own address included: the server recognises itself.", "cluster", "routes")
}

// renderGateway writes the block that joins a cluster to others, where there are any.
func (b Build) renderGateway(root *block, cluster Cluster, m Member) {
	port, ok := m.Ports[Gateways]
	if !ok {
		return
	}
	root.set(quote(cluster.Name), "The cluster's name: what gateways join has that of its gateways.", "gateway", "name")
	root.set(quote(m.Host), "", "gateway", "host")
	root.set(strconv.Itoa(port), "", "gateway", "port")
	if own, ok := b.advertised(Gateways, m.Name); ok {
		root.set(quote(own), "What other clusters are told to dial; without it, the node's own address, past the balancer.", "gateway", "advertise")
	}
	var others []string
	for _, c := range b.Topology.Clusters {
		if c.Name == cluster.Name || c.LeafOf != "" {
			continue
		}
		urls := list(b.urls(Gateways, c, "nats", nil))
		others = append(others, "{ name: "+quote(c.Name)+", urls: "+strings.ReplaceAll(urls, "\n", "\n  ")+" }")
	}
	root.set(list(others), "Any node of a cluster will do; each node keeps one connection to each cluster.", "gateway", "gateways")
}

// renderLeafnodes writes the block by which a leafnode and its hub meet.
func (b Build) renderLeafnodes(root *block, cluster Cluster, m Member) {
	if port, ok := m.Ports[Leafnodes]; ok {
		root.set(quote(m.Host), "", "leafnodes", "host")
		root.set(strconv.Itoa(port), "", "leafnodes", "port")
		if own, ok := b.advertised(Leafnodes, m.Name); ok {
			root.set(quote(own), "What leafnodes are told to dial; without it, the node's own address, past the balancer.", "leafnodes", "advertise")
		}
	}
	hub, ok := b.Topology.cluster(cluster.LeafOf)
	if !ok {
		return
	}
	accounts := b.Accounts()
	a := accounts[slices.IndexFunc(accounts, func(a Account) bool { return a.Name == leafAccount })]
	root.set(list(b.urls(Leafnodes, hub, "nats-leaf", url.UserPassword(a.User, a.Password))), "", "leafnodes", "remotes", "urls")
	root.set(a.Name, "At this end; at the other it is the user's.", "leafnodes", "remotes", "account")
	root.find("leafnodes").nested.find("remotes").listed = true
}

// renderAccounts writes an account with one user for everything the lab wants to tell apart.
func (b Build) renderAccounts(root *block, cluster Cluster) {
	switch b.Logins.Mode {
	case Creds:
		b.renderSigned(root)
		return
	case Token:
		root.set(quote(b.Logins.Token), "Of the global account: beside a token there are no users, and so no accounts.", "authorization", "token")
		return
	}
	for _, a := range b.Accounts() {
		why := fmt.Sprintf("Carried by route %d of the pool.", a.RouteIndex)
		switch {
		case cluster.LeafOf != "":
			why = "" // no routes
		case a.RouteIndex < 0:
			why = "Has routes of its own."
		}
		root.set(list([]string{b.Logins.renderUser(a)}), why, "accounts", a.Name, "users")
		if a.JetStream {
			root.set("enabled", "", "accounts", a.Name, "jetstream")
		}
	}
	root.set(systemAccount, "", "system_account")
}

// apply puts one --nats setting in its place.
func (b Build) apply(root *block, kv KeyValue) error {
	path := strings.Split(kv.Key, ".")
	if path[0] == "jetstream" && !b.JetStream {
		return nil // a jetstream block alone would switch JetStream on
	}
	if kv.Value == None {
		root.remove(path...)
		return nil
	}
	if path[len(path)-1] == "advertise" || kv.Key == "client_advertise" {
		if err := advertised(strings.Trim(kv.Value, `"'`)); err != nil {
			return fmt.Errorf("--nats %s: %w", kv, err)
		}
	}
	text, err := configText(kv.Key, kv.Value)
	if err != nil {
		return fmt.Errorf("--nats %s: %w", kv, err)
	}
	if !root.set(text, "--nats "+kv.String(), path...) {
		return fmt.Errorf("--nats %s: a part of this key is a value and no block", kv)
	}
	return nil
}

// block is a configuration block that keeps its entries in the order they were first set.
type block struct{ entries []*entry }

type entry struct {
	key    string
	why    string // the comment above it, or ""
	text   string // the value, if it is not a block
	nested *block
	listed bool // the block is the one element of a list
}

// set gives the key at the end of path this value, making blocks on the way. It says false if the path
// leads through a value or to a block.
func (b *block) set(text, why string, path ...string) bool {
	e := b.find(path[0])
	if e == nil {
		e = &entry{key: path[0]}
		if len(path) > 1 {
			e.nested = &block{}
		}
		b.entries = append(b.entries, e)
	}
	if (len(path) > 1) != (e.nested != nil) {
		return false
	}
	if e.nested != nil {
		return e.nested.set(text, why, path[1:]...)
	}
	e.text, e.why = text, why
	return true
}

// remove takes away what is at the end of path, if anything is.
func (b *block) remove(path ...string) {
	e := b.find(path[0])
	switch {
	case e == nil:
	case len(path) == 1:
		b.entries = slices.DeleteFunc(b.entries, func(o *entry) bool { return o == e })
	case e.nested != nil:
		e.nested.remove(path[1:]...)
	}
}

func (b *block) find(key string) *entry {
	for _, e := range b.entries {
		if e.key == key {
			return e
		}
	}
	return nil
}

func (b *block) write(w *strings.Builder, indent string) {
	for i, e := range b.entries {
		// An empty line sets off the outermost blocks.
		if i > 0 && indent == "" && (e.nested != nil || b.entries[i-1].nested != nil) {
			w.WriteByte('\n')
		}
		if e.nested != nil {
			open, end := " {", "}"
			if e.listed {
				open, end = ": [{", "}]"
			}
			fmt.Fprintf(w, "%s%s%s\n", indent, e.key, open)
			e.nested.write(w, indent+"  ")
			fmt.Fprintf(w, "%s%s\n", indent, end)
			continue
		}
		if e.why != "" {
			fmt.Fprintf(w, "%s# %s\n", indent, e.why)
		}
		fmt.Fprintf(w, "%s%s: %s\n", indent, e.key, strings.ReplaceAll(e.text, "\n", "\n"+indent))
	}
}

// list writes one element a line.
func list(elements []string) string {
	if len(elements) == 0 {
		return "[]"
	}
	return "[\n  " + strings.Join(elements, "\n  ") + "\n]"
}

// advertised says whether an address can be told to peers: a host, or host:port. The server finds a
// mistake here only when it starts (route.go, setRouteInfoHostPortAndIP).
func advertised(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port, err = net.SplitHostPort(addr + ":1")
	}
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || host == "" {
		return errors.New("want host:port")
	}
	return nil
}
