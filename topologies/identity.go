package topologies

import (
	"path/filepath"
	"strings"
)

// Identity is what the servers show to their clients, and trust, in TLS handshakes.
type Identity struct {
	Authority []byte             // PEM; what certificates of clients must come from
	Nodes     map[string]KeyPair // by node
}

// KeyPair is a certificate and its key, as PEM.
type KeyPair struct{ Certificate, Key []byte }

// File is one that a node reads beside its configuration.
type File struct {
	Path    string // inside the node's directory
	Content []byte
}

// Files gives what has to be there before a node starts, in the directory of the node.
func (b Build) Files(m Member) []File {
	if b.Identity == nil {
		return nil
	}
	own := b.Identity.Nodes[m.Name]
	return []File{
		{filepath.Join(m.Dir, authorityFile), b.Identity.Authority},
		{filepath.Join(m.Dir, certificateFile), own.Certificate},
		{filepath.Join(m.Dir, keyFile), own.Key},
	}
}

const (
	authorityFile   = "authority.pem"
	certificateFile = "certificate.pem"
	keyFile         = "key.pem"
)

// renderTLS writes the block that makes clients be met by TLS.
func (b Build) renderTLS(root *block, m Member) {
	if b.Identity == nil {
		return
	}
	root.set(quote(filepath.Join(m.Dir, certificateFile)), "Names every address that clients dial: the balancer's, and the node's own where that is advertised.", "tls", "cert_file")
	root.set(quote(filepath.Join(m.Dir, keyFile)), "", "tls", "key_file")
	root.set(quote(filepath.Join(m.Dir, authorityFile)), "Only certificates of clients are held against it.", "tls", "ca_file")
	if b.Logins.Mode == MTLS {
		root.set("true", "A client is whom its certificate names.", "tls", "verify_and_map")
	}
}

// SpeaksTLS reports whether a setting concerns the TLS of the servers' client port.
func (kv KeyValue) SpeaksTLS() bool { return strings.HasPrefix(kv.Key, "tls.") }
