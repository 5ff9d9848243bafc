package proxies

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// ProxyProtocol tells each backend who the client is, ahead of the client's bytes.
type ProxyProtocol struct{ Header string } // one of the setting's words; "" is off

const (
	proxyProtocol = "proxy-protocol"

	noHeader  = "off"
	version1  = "v1"
	version2  = "v2"
	doubled   = "doubled"
	malformed = "malformed"
)

func init() { register(16, ProxyProtocol{}) }

// Settings implements Behaviour.
func (ProxyProtocol) Settings() []Setting {
	return []Setting{{
		Name: proxyProtocol, Default: noHeader, Values: "off, v1, v2, doubled, malformed",
		About: "the PROXY header sent to the backend ahead of the client's bytes",
		Explain: "v1 is AWS CLB's, the Google proxy NLB's and nginx's; v2 is AWS NLB's and Alibaba's; HAProxy, Octavia, Envoy, Traefik and OCI send either, and all only where they are told to. " +
			"doubled is a balancer behind a balancer, each of which puts its own header in front: the same v2 header is sent twice, and a server that reads one takes the other for its clients' protocol. " +
			"malformed stands for a balancer or a script that gets it wrong: a v1 line that ends after the client's address. " +
			"Here the header goes out as soon as the backend has answered, before the TLS of re-encryption, with the client's address and the frontend's as the client dialled it " +
			"(AWS NLB by default sends it only with the client's first byte). Health checks send none. " +
			"nats-server reads it on its client port with proxy_protocol: true, and without that ends the connection for a protocol error; routes, gateways, leafnodes and websocket never take it.",
	}}
}

// Value implements Behaviour.
func (p ProxyProtocol) Value(string) string {
	if p.Header == "" {
		return noHeader
	}
	return p.Header
}

// With implements Behaviour.
func (p ProxyProtocol) With(setting, value string) (Behaviour, error) {
	header, err := parseWord(setting, value, noHeader, version1, version2, doubled, malformed)
	return ProxyProtocol{header}, err
}

// Scaled implements Behaviour.
func (p ProxyProtocol) Scaled(float64) Behaviour { return p }

// Start implements Behaviour.
func (p ProxyProtocol) Start() Policy { return proxyHeader{kind: p.Value(proxyProtocol)} }

type proxyHeader struct {
	admitsAll
	kind string
}

// Greet implements Greeter.
func (p proxyHeader) Greet(_ context.Context, f *Flow) error {
	if p.kind == noHeader {
		return nil
	}
	header, what, err := p.render(f.Client(), f.Local())
	if err != nil {
		return fmt.Errorf("writing a PROXY header for %s: %w", f.ID(), err)
	}
	if err := f.Send(Up, header); err != nil {
		return fmt.Errorf("sending a PROXY header to backend %s: %w", f.Backend().Name, err)
	}
	f.Applied(proxyProtocol, what)
	return nil
}

// render writes what goes to the backend, and says what that is.
func (p proxyHeader) render(client, front netip.AddrPort) (header []byte, what string, err error) {
	version := byte(2)
	if p.kind == version1 {
		version = 1
	}
	client, front = plain(client), plain(front)
	header, err = proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(front)).Format()
	switch p.kind {
	case doubled:
		return append(header, header...), fmt.Sprintf("sent the v2 header twice, client %s", client), err
	case malformed:
		line := fmt.Sprintf("PROXY TCP%d %s\r\n", family(client), client.Addr())
		return []byte(line), "sent a v1 header that ends after the client's address", nil
	}
	return header, fmt.Sprintf("sent a %s header, client %s", p.kind, client), err
}

// plain is an address without the forms that only this machine's sockets know: an IPv4 address of a socket
// for both families, and an interface's name.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// family is the digit that v1 names an address's family by.
func family(a netip.AddrPort) int {
	if a.Addr().Is4() {
		return 4
	}
	return 6
}
