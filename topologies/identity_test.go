package topologies

import (
	"path/filepath"
	"testing"
)

func TestFilesAreThoseThatTheConfigurationNames(t *testing.T) {
	m := Member{Name: "n1", Dir: "/var/lab/n1"}
	if got := (Build{}).Files(m); got != nil {
		t.Errorf("without TLS: %v", got)
	}
	b := Build{Identity: &Identity{Authority: []byte("ca"), Nodes: map[string]KeyPair{"n1": {[]byte("cert"), []byte("key")}}}}
	root := &block{}
	b.renderTLS(root, m)
	written := map[string]string{}
	for _, f := range b.Files(m) {
		if filepath.Dir(f.Path) != m.Dir {
			t.Errorf("%s is not in the node's directory", f.Path)
		}
		written[quote(f.Path)] = string(f.Content)
	}
	for key, want := range map[string]string{"cert_file": "cert", "key_file": "key", "ca_file": "ca"} {
		if got := written[root.find("tls").nested.find(key).text]; got != want {
			t.Errorf("%s holds %q, want %q", key, got, want)
		}
	}
}

func TestTLSKeysThatAreTheLabsOwn(t *testing.T) {
	for _, given := range []string{"tls.cert_file=x", "tls.key_file=x", "tls.ca_file=x", "tls.certs=[]", "tls.pinned_certs=[]"} {
		kv, err := ParseKeyValue(given)
		if err != nil {
			t.Fatal(err)
		}
		if (Build{}).guard(kv) == nil {
			t.Errorf("%s can be given", given)
		}
	}
	for given, want := range map[string]string{"tls.first=auto": "tls.handshake_first", "tls.verify_and_map=true": "tls.verify_and_map"} {
		kv, err := ParseKeyValue(given)
		if err != nil || kv.Key != want || (Build{}).guard(kv) != nil || !kv.SpeaksTLS() {
			t.Errorf("%s is %+v, %v, %v", given, kv, err, (Build{}).guard(kv))
		}
	}
}

func TestParseAuthMode(t *testing.T) {
	for _, m := range AuthModes() {
		if got, err := ParseAuthMode(string(m)); got != m || err != nil {
			t.Errorf("%s: %s, %v", m, got, err)
		}
	}
	if got, err := ParseAuthMode(""); got != Password || err != nil {
		t.Errorf("nothing given: %s, %v", got, err)
	}
	if _, err := ParseAuthMode("kerberos"); err == nil {
		t.Error("kerberos is one")
	}
}
