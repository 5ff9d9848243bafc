package embedded

import (
	"strings"
	"testing"

	"github.com/lbtest/lbtest/topologies"
)

// given is a build with these --nats settings.
func given(t *testing.T, nats ...string) topologies.Build {
	t.Helper()
	b := topologies.Build{Topology: behind(t), JetStream: true}
	for _, s := range nats {
		kv, err := topologies.ParseKeyValue(s)
		if err != nil {
			t.Fatal(err)
		}
		b.Tuning.Nats = append(b.Tuning.Nats, kv)
	}
	return b
}

func TestCheckAccepts(t *testing.T) {
	for _, nats := range [][]string{
		nil,
		{"cluster.ping_interval=8s", "ping_interval=1m30s", "ping_max=3"},
		{"cluster.advertise=none", "cluster.no_advertise=true"},
		{"cluster.ping_interval=5"}, // with a warning
		{"ping_interval=2m", "cluster.ping_max=none"},
		{"write_deadline=5s", "max_payload=8MB", "max_pending=64MB"},
		{"cluster.compression=s2_fast"},
		{"cluster.compression.mode=s2_auto", "cluster.compression.rtt_thresholds=[10ms, 50ms]"},
		{"cluster.accounts=[JS]"},
		{"cluster.pool_size=-1"},
		{"lab:cluster.ping_interval=3s"},
		{"server_tags=[a, b]", "server_metadata.Region=west 1"},
		{"jetstream.sync_interval=always", "jetstream.max_mem=64MB"},
		{"lame_duck_duration=2m", "lame_duck_grace_period=5s"},
		{"gateway.advertise=10.1.2.3:7222", "leafnodes.reconnect_interval=2s"}, // without the block's port nobody listens
	} {
		for _, factor := range []float64{1, 7} {
			b := given(t, nats...)
			b.Tuning.Factor, b.JetStream = factor, factor == 1
			if err := New(Options{}).Check(b); err != nil {
				t.Errorf("%v, time scale %v: %v", nats, factor, err)
			}
		}
	}
}

// in is the build in another topology.
func in(t *testing.T, topology string, b topologies.Build) topologies.Build {
	t.Helper()
	var ok bool
	if b.Topology, ok = topologies.Find(topology); !ok {
		t.Fatalf("there is no topology %s", topology)
	}
	return b
}

func TestCheckOfServerLinks(t *testing.T) {
	for _, c := range []struct {
		topology string
		nats     []string
		want     string // in the objection; "" for none
	}{
		{"gateways-behind-lb", nil, ""},
		{"gateways-behind-lb", []string{"gateway.advertise=none", "gateway.connect_backoff=true", "west:gateway.reject_unknown=true"}, ""},
		{"gateways-behind-lb", []string{"east:ping_interval=8s", "cluster.ping_interval=9s", "gateway.write_deadline=2m"}, ""},
		{"gateways-behind-lb", []string{"gateway.no_advertise=true"}, `--nats gateway.no_advertise=true: nats-server says: unknown field "no_advertise"; did you mean`},
		{"gateways-behind-lb", []string{"gateway.connect_retries=some"}, "want a whole number"},
		{"gateways-behind-lb", []string{"west:gateway.advertize=a:1"}, "--nats west:gateway.advertize=a:1: nats-server says: unknown field"},
		{"leafnodes-behind-lb", nil, ""},
		{"leafnodes-behind-lb", []string{"leafnodes.no_advertise=true", "leafnodes.advertise=none"}, ""},
		{"leafnodes-behind-lb", []string{"leafnodes.remotes.ignore_discovered_servers=true", "leaf:leafnodes.remotes.first_info_timeout=2m"}, ""},
		{"leafnodes-behind-lb", []string{"leaf:leaf.reconnect=2m", "leaf:ping_interval=20s", "cluster.ping_interval=8s"}, ""},
		{"leafnodes-behind-lb", []string{"leafnodes.remotes.ignore_discovered=true"}, `--nats leafnodes.remotes.ignore_discovered=true: nats-server says: unknown field "ignore_discovered"`},
		{"leafnodes-behind-lb", []string{"leaf:leafnodes.ignore_discovered_servers=true"}, "did you mean leafnodes.remotes.ignore_discovered_servers?"},
		{"leafnodes-behind-lb", []string{"leafnodes.remotes.ignore_discovered_servers=2"}, "want true or false"},
		{"leafnodes-behind-lb", []string{"hub:leafnodes.remotes.no_randomize=true"}, "are no leafnodes"},
	} {
		for _, factor := range []float64{1, 7} {
			b := in(t, c.topology, given(t, c.nats...))
			b.Tuning.Factor, b.JetStream = factor, factor == 1
			err := New(Options{}).Check(b)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s with %v, time scale %v: got %v, want %q", c.topology, c.nats, factor, err, c.want)
			}
		}
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		nats []string
		want []string
	}{
		{"a slip", []string{"cluster.ping_intervall=2s"},
			[]string{`--nats cluster.ping_intervall=2s: nats-server says: unknown field "ping_intervall"; did you mean cluster.ping_interval`}},
		{"the right key in no block", []string{"pool_size=2"}, []string{`unknown field "pool_size"; did you mean cluster.pool_size?`}},
		{"a dash", []string{"ping-interval=2s"}, []string{"did you mean ping_interval"}},
		{"something else", []string{"nothing_like_it=2s"}, []string{`unknown field "nothing_like_it"`}},
		{"not a flag", []string{"cluster.no_advertise=maybe"}, []string{"--nats cluster.no_advertise=maybe: want true or false"}},
		{"not a size", []string{"max_payload=big"}, []string{"want a number of bytes"}},
		{"not a list", []string{"cluster.accounts=JS"}, []string{"want a list"}},
		{"not a compression", []string{"cluster.compression=zip"}, []string{"nats-server says: ", `"zip"`}},
		{"not a policy", []string{"write_timeout=often"}, []string{"--nats write_timeout=often: nats-server says: "}},
		{"below the minimum", []string{"lame_duck_duration=5s"}, []string{"minimum is 30 seconds"}},
		{"two that do not fit each other", []string{"max_payload=8MB", "max_pending=1MB"},
			[]string{"--nats max_payload=8MB --nats max_pending=1MB: nats-server says", "cannot be higher than max_pending"}},
		{"two mistakes at once", []string{"debugg=true", "cluster.connect_retries=some"}, []string{"did you mean debug?", "connect_retries=some: want a whole number"}},
		{"a block in a group that is not there", []string{"hub:debug=true"}, []string{`no group of servers called "hub"`}},
		{"wrong though there is no such block in a scaled lab", []string{"jetstream.max_filestore=1GB"}, []string{"did you mean jetstream.max_file_store?"}},
	} {
		b := given(t, c.nats...)
		err := New(Options{}).Check(b)
		b.JetStream = false
		if other := New(Options{}).Check(b); (other == nil) != (err == nil) {
			t.Errorf("%s: with JetStream %v, without %v", c.name, err, other)
		}
		if err == nil {
			t.Errorf("%s: no objection", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v; want %q in it", c.name, err, want)
			}
		}
	}
}

// The table must not know keys that the server does not, nor call a kind by another's name.
func TestTheServerKnowsEveryKeyOfTheTable(t *testing.T) {
	right := map[kind]string{flag: "true", number: "10", size: "512KB", duration: "45s", text: "A", array: "[]"}
	special := map[string]string{
		"cluster.advertise": "127.0.0.1:1", "client_advertise": "127.0.0.1:1", "cluster.compression": "accept",
		"gateway.advertise": "127.0.0.1:1", "gateway.write_timeout": "close", "leafnodes.advertise": "127.0.0.1:1", "leafnodes.write_timeout": "close",
		"leafnodes.compression": "s2_fast", "leafnodes.remotes.compression": "off",
		"write_timeout": "close", "cluster.write_timeout": "close", "cluster.routes": "[nats://127.0.0.1:1]",
		"lame_duck_grace_period": "5s", "cluster.accounts": "[JS]", "max_pending": "2MB",
		"tls.handshake_first": "auto", "tls.min_version": "1.3", "tls.cipher_suites": "[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]", "tls.curve_preferences": "[CurveP256]",
	}
	wrong := map[kind]string{flag: "7", number: "x", size: "x", duration: "x", array: "x"}
	for key, k := range keys {
		value, ok := special[key]
		if !ok {
			value = right[k]
		}
		b := given(t, key+"="+value)
		if strings.HasPrefix(key, "leafnodes.remotes.") {
			b = in(t, "leafnodes-behind-lb", b) // where it is a key of the lab's one remote
		}
		if err := New(Options{}).Check(b); err != nil {
			t.Errorf("%s, %s: %v", key, k, err)
		}
		if bad, ok := wrong[k]; ok && wrongKind(topologies.KeyValue{Key: key, Value: bad}) == "" {
			t.Errorf("%s=%s is taken for %s", key, bad, k)
		}
	}
}
