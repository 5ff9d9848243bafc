package assertions

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Security is who speaks TLS in a lab, and how clients log in.
type Security struct {
	Clients  string // how applications begin: InTheClear, InfoFirst or TLSFirst
	Servers  string // what the servers want of their clients: InTheClear, InfoFirst, TLSFirst or Either
	Balancer string // who ends TLS, as the setting tls has it
	Verified bool   // the servers ask clients for certificates
	Auth     string // password, token, nkey, creds or mtls
}

// How a connection begins.
const (
	InTheClear = ""
	InfoFirst  = "INFO first" // the server's greeting in the clear, then TLS
	TLSFirst   = "TLS first"
	Either     = "either" // the server waits a moment for TLS, then greets in the clear
)

// speaks reports whether anybody speaks TLS.
func (s Security) speaks() bool { return s.Clients != InTheClear || s.Servers != InTheClear }

// inWords says what applications do.
func (s Security) inWords() string {
	if s.Clients == InTheClear {
		return "in the clear"
	}
	return "by TLS, " + s.Clients
}

// Direct is the same without a balancer in between: clients begin as the servers want it.
func (s Security) Direct() Security {
	s.Balancer = "passthrough"
	switch s.Servers {
	case InTheClear, InfoFirst, TLSFirst:
		s.Clients = s.Servers
	case Either:
		if s.Clients == InTheClear {
			s.Clients = InfoFirst
		}
	}
	return s
}

// dial opens a connection as an application does: through the balancer, with what --client says.
func (t Target) dial(a Account, name string, more ...nats.Option) (*nats.Conn, error) {
	options, err := t.login(a, t.Terms.Security.Clients)
	if err != nil {
		return nil, err
	}
	options = append(append([]nats.Option{nats.Name(name)}, options...), t.Client.options...)
	return nats.Connect(urls(t.URLs), append(options, more...)...)
}

// connect opens a client of the tester at one node, past every balancer that does not stand before
// client links.
func (t Target) connect(n Node, a Account, more ...nats.Option) (*nats.Conn, error) {
	begin := t.Terms.Security.Servers
	if begin == Either {
		begin = InfoFirst
	}
	options, err := t.login(a, begin)
	if err != nil {
		return nil, err
	}
	options = append(options, nats.Name("lbtest "+a.Name+"@"+n.Name),
		nats.IgnoreDiscoveredServers()) // it stays with its node, also through that node's absence
	options = append(options, t.Direct.options...)
	nc, err := nats.Connect(n.URL, append(options, more...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s as %s: %w", n.Name, a.Name, err)
	}
	return nc, nil
}

// login is what a client of an account says about itself, and whom it believes.
func (t Target) login(a Account, begin string) (options []nats.Option, err error) {
	// What a connection suffers shows in what crosses it; without a handler nats.go prints it.
	options = append(options, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	switch {
	case a.JWT != "":
		options = append(options, nats.UserJWTAndSeed(a.JWT, a.Seed))
	case a.Seed != "":
		pair, err := nkeys.FromSeed([]byte(a.Seed))
		if err != nil {
			return nil, fmt.Errorf("reading the key of account %s: %w", a.Name, err)
		}
		options = append(options, nats.Nkey(a.Shown, pair.Sign))
	case a.Token != "":
		options = append(options, nats.Token(a.Token))
	case t.Terms.Security.Auth != "mtls":
		options = append(options, nats.UserInfo(a.User, a.Password))
	}
	if begin == InTheClear {
		return options, nil
	}
	config := t.TLS.Clone()
	if t.Terms.Security.Verified && a.Certificate != nil {
		config.Certificates = []tls.Certificate{*a.Certificate}
	}
	options = append(options, nats.Secure(config))
	if begin == TLSFirst {
		options = append(options, nats.TLSHandshakeFirst())
	}
	return options, nil
}

// id is the account's name in the servers' monitoring.
func (a Account) id() string {
	if a.PublicKey != "" {
		return a.PublicKey
	}
	return a.Name
}

// print is how a certificate is named in monitoring; "" for none.
func (a Account) print() string {
	if a.Certificate == nil {
		return ""
	}
	sum := sha256.Sum256(a.Certificate.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// encryption says how a connection is protected, and whose certificate its client has verified.
func encryption(nc *nats.Conn) (version, of string) {
	state, err := nc.TLSConnectionState()
	if err != nil || len(state.PeerCertificates) == 0 {
		return "", ""
	}
	return tls.VersionName(state.Version), state.PeerCertificates[0].Subject.CommonName
}

// tlsSettings decide how TLS gets through.
var tlsSettings = slices.Concat([]string{"tls", "proxy-protocol"}, familyOf("inspection").settings)
