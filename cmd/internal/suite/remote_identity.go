package suite

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/lbtest/lbtest/proxies"
)

// wireIdentity is a balancer's identity as it is told to one that runs elsewhere: PEM, throw-away keys included.
type wireIdentity struct {
	Shown     wirePair
	Client    *wirePair `json:",omitempty"`
	Authority []byte    // what certificates of backends must come from
}

type wirePair struct{ Certificate, Key []byte }

// wiredIdentity gives what an opening's balancer shows; nil for one that ends no TLS.
func wiredIdentity(o opening) (*wireIdentity, error) {
	id := o.profile.Identity
	if id == nil {
		return nil, nil
	}
	if len(id.Certificates) != 1 {
		return nil, fmt.Errorf("a balancer elsewhere shows one certificate, not %d", len(id.Certificates))
	}
	shown, err := wiredPair(id.Certificates[0])
	if err != nil {
		return nil, err
	}
	w := &wireIdentity{Shown: shown, Authority: o.authority}
	if id.Client != nil {
		client, err := wiredPair(*id.Client)
		if err != nil {
			return nil, err
		}
		w.Client = &client
	}
	return w, nil
}

func wiredPair(c tls.Certificate) (p wirePair, err error) {
	p.Certificate, p.Key, err = proxies.KeyPairPEM(c)
	return p, err
}

// identity gives it back.
func (w *wireIdentity) identity() (*proxies.Identity, error) {
	if w == nil {
		return nil, nil
	}
	shown, err := tls.X509KeyPair(w.Shown.Certificate, w.Shown.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the balancer's certificate: %w", err)
	}
	id := &proxies.Identity{Certificates: []tls.Certificate{shown}}
	if w.Client != nil {
		client, err := tls.X509KeyPair(w.Client.Certificate, w.Client.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the balancer's client certificate: %w", err)
		}
		id.Client = &client
	}
	if len(w.Authority) > 0 {
		id.Backends = x509.NewCertPool()
		if !id.Backends.AppendCertsFromPEM(w.Authority) {
			return nil, errors.New("reading the authority of the backends' certificates: it is none")
		}
	}
	return id, nil
}
