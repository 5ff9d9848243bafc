package proxies

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"time"
)

// Identity is what a balancer that ends TLS shows and trusts.
type Identity struct {
	Certificates []tls.Certificate // shown to clients; by the name they ask for where there are several
	Client       *tls.Certificate  // shown to backends by re-encrypt-mtls
	Backends     *x509.CertPool    // what certificates of backends must come from, for the host that is dialled; nil to take any
}

// certified is a Policy that takes part in TLS handshakes.
type certified interface{ certify(*Identity) }

// identify settles what instances of a profile show.
func (b *Balancer) identify(p Profile) error {
	mode := p.Value(endsTLS)
	if mode == passthrough {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	id := p.Identity
	if id == nil {
		if b.throwAway == nil {
			made, err := newThrowAway(b.doors)
			if err != nil {
				return fmt.Errorf("making a throw-away certificate: %w", err)
			}
			b.throwAway = made
		}
		id = &b.throwAway.Identity
	}
	switch {
	case len(id.Certificates) == 0:
		return fmt.Errorf("%s=%s: the identity has no certificate to show to clients", endsTLS, mode)
	case mode == reEncryptMTLS && id.Client == nil:
		return fmt.Errorf("%s=%s: the identity has no client certificate to show to backends", endsTLS, mode)
	}
	b.identity = id
	return nil
}

// Authority is the certificate, as PEM, of the throw-away authority that issued this balancer's certificates: what
// clients must trust, and backends that verify its client certificate. It is nil where the balancer ends no TLS
// or was given an identity, and stays the same for its whole life.
func (b *Balancer) Authority() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.throwAway == nil {
		return nil
	}
	return b.throwAway.authority
}

// throwAway is an identity that ends with its balancer. It takes any certificate from backends.
type throwAway struct {
	Identity
	authority []byte // PEM
}

// validFor is longer than any balancer is left running, and validSince allows for clocks that differ.
const (
	validFor   = 365 * 24 * time.Hour
	validSince = -time.Hour
)

// newThrowAway makes an authority, a certificate for the doors' addresses and this host's names, and a client
// certificate for CN=lbtest-balancer.
func newThrowAway(doors []*door) (*throwAway, error) {
	authority, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	shown := serving(balancerName)
	if err := covers(shown, doors); err != nil {
		return nil, err
	}
	server, err := issue(shown, &authority.root)
	if err != nil {
		return nil, err
	}
	client, err := authority.Client(balancerName)
	if err != nil {
		return nil, err
	}
	return &throwAway{
		Identity:  Identity{Certificates: []tls.Certificate{server}, Client: &client},
		authority: authority.PEM(),
	}, nil
}

// balancerName is the common name of a balancer's own certificates.
const balancerName = "lbtest-balancer"

// Authority issues throw-away certificates. Its key is never written down.
type Authority struct{ root tls.Certificate }

// NewAuthority makes an authority that nobody trusts yet.
func NewAuthority() (*Authority, error) {
	root, err := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "lbtest throw-away authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	return &Authority{root}, err
}

// PEM is the authority's own certificate: what is to be trusted.
func (a *Authority) PEM() []byte { return certificatePEM(a.root.Certificate[0]) }

// Pool trusts this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root.Leaf)
	return pool
}

// Server issues a certificate with that common name for a server that is dialled by any of hosts, names or IP
// addresses.
func (a *Authority) Server(name string, hosts ...string) (tls.Certificate, error) {
	c := serving(name)
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	return issue(c, &a.root)
}

// Client issues a certificate with that common name, and no other name, for a client.
func (a *Authority) Client(name string) (tls.Certificate, error) {
	return issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, &a.root)
}

// Balancer issues what a balancer shows that ends TLS and is dialled by any of hosts. It verifies backends' certificates
// against the same authority.
func (a *Authority) Balancer(hosts ...string) (*Identity, error) {
	shown, err := a.Server(balancerName, hosts...)
	if err != nil {
		return nil, err
	}
	client, err := a.Client(balancerName)
	return &Identity{Certificates: []tls.Certificate{shown}, Client: &client, Backends: a.Pool()}, err
}

// KeyPairPEM is a certificate and its key as files have them.
func KeyPairPEM(c tls.Certificate) (certificate, key []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a private key down: %w", err)
	}
	return certificatePEM(c.Certificate[0]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func serving(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

// covers has a certificate name everything under which the doors can be dialled.
func covers(c *x509.Certificate, doors []*door) error {
	c.DNSNames = []string{"localhost"}
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if host, err := os.Hostname(); err == nil {
		c.DNSNames = append(c.DNSNames, host)
	}
	for _, d := range doors {
		host, _, err := net.SplitHostPort(d.addr)
		if err != nil {
			return err
		}
		ip := net.ParseIP(host)
		if ip == nil {
			c.DNSNames = append(c.DNSNames, host)
			continue
		}
		if !ip.IsUnspecified() {
			c.IPAddresses = append(c.IPAddresses, ip)
			continue
		}
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return fmt.Errorf("listing this host's addresses: %w", err)
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				c.IPAddresses = append(c.IPAddresses, n.IP)
			}
		}
	}
	return nil
}

// issue makes a certificate with a key of its own, signed by a parent or, with none, by itself.
func issue(c *x509.Certificate, parent *tls.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	c.NotBefore, c.NotAfter = time.Now().Add(validSince), time.Now().Add(validFor)
	issuer, signer := c, any(key)
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, key.Public(), signer) // numbers it by chance
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
