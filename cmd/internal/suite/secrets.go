package suite

import (
	"crypto/tls"
	"fmt"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/topologies"
)

// secrets are made afresh for each lab and end with it: one authority for all its certificates, and the keys of its
// clients.
type secrets struct {
	authority []byte               // of all certificates, as PEM; nil where nobody speaks TLS
	identity  *topologies.Identity // of the nodes; nil where they speak no TLS
	balancer  *proxies.Identity    // nil where the balancer ends no TLS
	believes  *tls.Config          // of clients; nil where nobody speaks TLS
	logins    topologies.Logins
	dialled   string                        // the host under which the tester dials the balancer
	clients   map[string]assertions.Account // what each account's client has to show, by account
}

// newSecrets makes what such a lab needs for a build's nodes and accounts. hosts gives the addresses under which a node is
// dialled, or with "" a balancer, the tester's own first.
func newSecrets(s assertions.Security, b topologies.Build, hosts func(node string) []string) (secrets, error) {
	made := secrets{dialled: hosts("")[0], logins: topologies.Logins{Mode: topologies.AuthMode(s.Auth)}, clients: map[string]assertions.Account{}}
	b.Logins = made.logins
	accounts := b.Accounts()
	for _, a := range accounts {
		made.clients[a.Name] = assertions.Account{Shown: a.User}
	}
	if s.Clients != assertions.InTheClear || s.Servers != assertions.InTheClear {
		if err := made.certify(s, b, accounts, hosts); err != nil {
			return made, fmt.Errorf("making certificates: %w", err)
		}
	}
	if err := made.issue(accounts, b.Routing().PoolSize); err != nil {
		return made, fmt.Errorf("making what clients log in with: %w", err)
	}
	return made, nil
}

func (m *secrets) certify(s assertions.Security, b topologies.Build, accounts []topologies.Account, hosts func(node string) []string) error {
	authority, err := proxies.NewAuthority()
	if err != nil {
		return err
	}
	m.authority = authority.PEM()
	m.believes = &tls.Config{RootCAs: authority.Pool()}
	if s.Balancer != "passthrough" {
		if m.balancer, err = authority.Balancer(hosts("")...); err != nil {
			return err
		}
	}
	if s.Servers == assertions.InTheClear {
		return nil
	}
	m.identity = &topologies.Identity{Authority: m.authority, Nodes: map[string]topologies.KeyPair{}}
	for _, node := range b.Topology.Nodes() {
		own, err := authority.Server(node, hosts(node)...)
		if err != nil {
			return err
		}
		certificate, key, err := proxies.KeyPairPEM(own)
		if err != nil {
			return err
		}
		m.identity.Nodes[node] = topologies.KeyPair{Certificate: certificate, Key: key}
	}
	if !s.Verified {
		return nil
	}
	for _, a := range accounts {
		own, err := authority.Client(a.User)
		if err != nil {
			return err
		}
		client := m.clients[a.Name]
		client.Certificate = &own
		m.clients[a.Name] = client
	}
	return nil
}

// issue makes what the clients log in with.
func (m *secrets) issue(accounts []topologies.Account, poolSize int) error {
	switch m.logins.Mode {
	case topologies.Token:
		token, err := nkeys.CreateUser() // as good a secret as any
		if err != nil {
			return err
		}
		if m.logins.Token, err = token.PublicKey(); err != nil {
			return err
		}
		for _, a := range accounts {
			m.clients[a.Name] = assertions.Account{Token: m.logins.Token, Certificate: m.clients[a.Name].Certificate, Shown: redacted}
		}
	case topologies.MTLS:
		m.logins.Users = map[string]string{}
		for _, a := range accounts {
			client := m.clients[a.Name]
			client.Shown = client.Certificate.Leaf.Subject.String()
			m.logins.Users[a.Name], m.clients[a.Name] = client.Shown, client
		}
	case topologies.NKey:
		m.logins.Users = map[string]string{}
		for _, a := range accounts {
			client, err := withKey(m.clients[a.Name])
			if err != nil {
				return err
			}
			m.logins.Users[a.Name], m.clients[a.Name] = client.Shown, client
		}
	case topologies.Creds:
		return m.sign(accounts, poolSize)
	}
	return nil
}

// redacted is what the servers' monitoring calls every token.
const redacted = "[REDACTED]"

// withKey gives a client a key pair of its own.
func withKey(c assertions.Account) (assertions.Account, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return c, err
	}
	seed, err := pair.Seed()
	if err != nil {
		return c, err
	}
	c.Seed = string(seed)
	c.Shown, err = pair.PublicKey()
	return c, err
}

// sign makes an operator, who signs the accounts, each of which signs its user.
func (m *secrets) sign(accounts []topologies.Account, poolSize int) error {
	operator, err := nkeys.CreateOperator()
	if err != nil {
		return err
	}
	key, err := operator.PublicKey()
	if err != nil {
		return err
	}
	claims := jwt.NewOperatorClaims(key)
	claims.Name = "lbtest"
	if m.logins.Operator, err = claims.Encode(operator); err != nil {
		return err
	}
	m.logins.Signed = map[string]topologies.Signed{}
	for _, a := range accounts {
		signed, client, err := signedBy(operator, a, poolSize, m.clients[a.Name])
		if err != nil {
			return err
		}
		m.logins.Signed[a.Name], m.clients[a.Name] = signed, client
	}
	return nil
}

func signedBy(operator nkeys.KeyPair, a topologies.Account, poolSize int, client assertions.Account) (signed topologies.Signed, _ assertions.Account, err error) {
	account, err := carried(a, poolSize)
	if err != nil {
		return signed, client, err
	}
	if signed.PublicKey, err = account.PublicKey(); err != nil {
		return signed, client, err
	}
	claims := jwt.NewAccountClaims(signed.PublicKey)
	claims.Name = a.Name
	if a.JetStream {
		// Without a limit: the nodes have theirs.
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit,
			Streams: jwt.NoLimit, Consumer: jwt.NoLimit, MaxAckPending: jwt.NoLimit}
	}
	if signed.JWT, err = claims.Encode(operator); err != nil {
		return signed, client, err
	}
	if client, err = withKey(client); err != nil {
		return signed, client, err
	}
	user := jwt.NewUserClaims(client.Shown)
	user.Name = a.User
	client.PublicKey = signed.PublicKey
	client.JWT, err = user.Encode(account)
	return signed, client, err
}

// carried makes a key that the servers put on the account's route of their pool, so that here too each route carries an
// account whose messages are counted. One key in as many as there are routes does.
func carried(a topologies.Account, poolSize int) (nkeys.KeyPair, error) {
	for {
		pair, err := nkeys.CreateAccount()
		if err != nil {
			return nil, err
		}
		key, err := pair.PublicKey()
		if err != nil || a.RouteIndex < 0 || topologies.PoolIndex(key, poolSize) == a.RouteIndex {
			return pair, err
		}
	}
}

// account is how the tester uses an account of the servers.
func (m secrets) account(a topologies.Account) assertions.Account {
	client := m.clients[a.Name]
	client.Name, client.User, client.Password, client.JetStream, client.System = a.Name, a.User, a.Password, a.JetStream, a.System
	return client
}

// canary is what the tester's own connections through a balancer speak that ends TLS: towards it, and behind it where
// it begins anew. The canary's backend shows what the balancer itself has: it is dialled at the same address.
func (m secrets) canary(s assertions.Security) (towards, behind *tls.Config) {
	if m.balancer == nil {
		return nil, nil
	}
	towards = m.believes.Clone()
	towards.ServerName = m.dialled
	if s.Balancer != "terminate" {
		behind = &tls.Config{Certificates: m.balancer.Certificates}
	}
	return towards, behind
}
