package topologies

import (
	"strings"
	"testing"
)

func TestParseKeyValue(t *testing.T) {
	for given, want := range map[string]KeyValue{
		"ping_interval=30s":              {"", "ping_interval", "30s"},
		"cluster.ping_interval=8s":       {"", "cluster.ping_interval", "8s"},
		"hub:ping_interval=30s":          {"hub", "ping_interval", "30s"},
		" lab : ping_max = 3 ":           {"lab", "ping_max", "3"},
		"cluster.advertise=none":         {"", "cluster.advertise", "none"},
		"cluster.advertise=10.0.0.1:80":  {"", "cluster.advertise", "10.0.0.1:80"},
		"Cluster.Ping_Interval=8s":       {"", "cluster.ping_interval", "8s"},
		"cluster.cluster_advertise=a:1":  {"", "cluster.advertise", "a:1"},
		"leaf:leaf.remotes.url=[]":       {"leaf", "leafnodes.remotes.urls", "[]"},
		"leafnodes.reconnect=2m":         {"", "leafnodes.reconnect_interval", "2m"},
		"gateway.net=a":                  {"", "gateway.host", "a"},
		"jetstream.max_mem=64MB":         {"", "jetstream.max_memory_store", "64MB"},
		"server_metadata.Region=west=1":  {"", "server_metadata.Region", "west=1"},
		"server_tags=[a, \"b c\"]":       {"", "server_tags", `[a, "b c"]`},
		"cluster.compression={mode: s2}": {"", "cluster.compression", "{mode: s2}"},
	} {
		got, err := ParseKeyValue(given)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", given, got, err, want)
		}
	}
}

func TestParseKeyValueSaysWhatToGive(t *testing.T) {
	for given, want := range map[string]string{
		"":                              "want KEY=VALUE",
		"ping_interval":                 `"ping_interval=none"`,
		"ping_interval: 30s":            `did you mean "ping_interval=30s"`,
		"ping_interval 30s":             `did you mean "ping_interval=30s"`,
		"cluster { ping_interval: 8s }": `did you mean "cluster.ping_interval=8s"`,
		"cluster{ping_interval=8s}":     `did you mean "cluster.ping_interval=8s"`,
		"=30s":                          "no key",
		"hub:=30s":                      "no key",
		"ping_interval=":                "ping_interval=none takes the key away",
		"cluster..ping_interval=8s":     "a dot too many",
		".ping_interval=8s":             "a dot too many",
		"ping interval=8s":              `"ping interval" is not a configuration key`,
		"my hub:ping_interval=8s":       `"my hub" before the colon`,
		"a:b:ping_interval=8s":          `"b:ping_interval" is not a configuration key`,

		"cluster.tls.timeout=2":           "TLS for clients only",
		"cluster.TLS=none":                "TLS for clients only",
		"server_tags=[a":                  "the closing ] is missing",
		"server_tags=[a]; port: 1":        "after the end of the value",
		"server_tags=[a}":                 `'}' closes nothing`,
		"server_tags=[\"a]":               `the closing " is missing`,
		"server_tags=[a # b]":             "comment",
		"client_advertise=\"a\" port \"b": "quotation mark",
		"client_advertise=a\nport: 1":     "control character",
	} {
		_, err := ParseKeyValue(given)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v; want %q in it", given, err, want)
			continue
		}
		if given != "" && !strings.Contains(err.Error(), strings.TrimSpace(given)[:3]) {
			t.Errorf("%q gives %v, which does not say what was given", given, err)
		}
	}
}

func TestConfigText(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"ping_interval", "30s", `"30s"`},
		{"ping_interval", "2m", `"2m"`}, // bare, the server reads two million seconds
		{"ping_interval", "30", "30"},
		{"max_payload", "2m", "2m"},
		{"max_payload", "8MB", "8MB"},
		{"cluster.no_advertise", "true", "true"},
		{"cluster.advertise", "a:1", `"a:1"`},
		{"cluster.advertise", `"a:1"`, `"a:1"`},
		{"cluster.advertise", `'a:1'`, `"a:1"`},
		{"cluster.advertise", "$HOME", `"$HOME"`},
		{"server_tags", "a b", `"a b"`},
		{"server_tags", `a"b\c`, `"a\"b\\c"`},
		{"cluster.accounts", "[A, B]", "[A, B]"},
		{"cluster.routes", "[nats://a:1]", "[nats://a:1]"},
	} {
		got, err := configText(c.key, c.value)
		if err != nil || got != c.want {
			t.Errorf("%s=%s is %s, %v; want %s", c.key, c.value, got, err, c.want)
		}
	}
}

func FuzzParseKeyValue(f *testing.F) {
	for _, seed := range []string{
		"ping_interval=30s", "hub:cluster.ping_max=3", "cluster { ping_interval: 8s }", "a=[b, {c: \"d\"}]", "a:b:c=d", "tls=none", "a='b'", "=", "a=$b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		kv, err := ParseKeyValue(given)
		if err != nil {
			return
		}
		if again, err := ParseKeyValue(kv.String()); err != nil || again != kv {
			t.Errorf("%q is %+v, which reads as %+v, %v", given, kv, again, err)
		}
		text, err := configText(kv.Key, kv.Value)
		if err != nil {
			t.Errorf("%q was accepted and has no text: %v", given, err)
		}
		if strings.ContainsAny(text, "\r\n") {
			t.Errorf("%q becomes more than one line: %q", given, text)
		}
	})
}
