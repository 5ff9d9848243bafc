package proxies

import (
	"hash/fnv"
	"math/rand/v2"
)

// Balance is how the backend of a new connection is chosen.
type Balance struct{ Method string } // "" is round-robin

const (
	balance = "balance"

	byTurns  = "round-robin"
	byLoad   = "least-connections"
	bySource = "source-hash"
	byChance = "random"
)

func init() { register(8, Balance{}) }

// Settings implements Behaviour.
func (Balance) Settings() []Setting {
	return []Setting{{
		Name: balance, Default: byTurns, Values: "round-robin, least-connections, source-hash, random",
		About: "how the backend of a new connection is chosen",
		Explain: "round-robin is the default of nginx, AWS CLB and Hetzner; least-connections is what HAProxy advises for long-lived connections and NetScaler's default; " +
			"random is the default of current HAProxy; source-hash stands for client affinity by IP address, as in Azure's SourceIP and Octavia's SOURCE_IP, " +
			"and puts all clients behind one NAT onto one backend. " +
			"Here turns are taken per frontend, connections are counted over the whole balancer with dials under way included, " +
			"the hash is that of the client's IP address alone, and chance follows the run's seed.",
	}}
}

// Value implements Behaviour.
func (b Balance) Value(string) string {
	if b.Method == "" {
		return byTurns
	}
	return b.Method
}

// With implements Behaviour.
func (b Balance) With(setting, value string) (Behaviour, error) {
	method, err := parseWord(setting, value, byTurns, byLoad, bySource, byChance)
	return Balance{method}, err
}

// Scaled implements Behaviour.
func (b Balance) Scaled(float64) Behaviour { return b }

// Start implements Behaviour.
func (b Balance) Start() Policy {
	switch b.Method {
	case byLoad:
		return leastConnections{}
	case bySource:
		return sourceHash{}
	case byChance:
		return &randomly{}
	}
	return newRoundRobin()
}

type roundRobin struct {
	admitsAll
	next map[string]int // by frontend
}

func newRoundRobin() *roundRobin { return &roundRobin{next: map[string]int{}} }

func (r *roundRobin) Choose(c Choice) int {
	n := r.next[c.Front] % len(c.Backends)
	r.next[c.Front] = n + 1
	return n
}

type leastConnections struct{ admitsAll }

// Choose takes the first of those with the fewest.
func (leastConnections) Choose(c Choice) int {
	least := 0
	for n, active := range c.Active {
		if active < c.Active[least] {
			least = n
		}
	}
	return least
}

type sourceHash struct{ admitsAll }

func (sourceHash) Choose(c Choice) int {
	h := fnv.New32a()
	h.Write([]byte(c.Client))
	return int(h.Sum32() % uint32(len(c.Backends)))
}

type randomly struct {
	admitsAll
	chance *rand.Rand
}

// Chance implements Chancer.
func (r *randomly) Chance(chance *rand.Rand) { r.chance = chance }

func (r *randomly) Choose(c Choice) int { return r.chance.IntN(len(c.Backends)) }
