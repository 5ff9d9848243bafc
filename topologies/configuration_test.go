package topologies

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files of testdata")

func TestRender(t *testing.T) {
	perNode := map[Front]string{{Routes, "n1"}: "127.0.0.1:7001", {Routes, "n2"}: "127.0.0.1:7002", {Routes, "n3"}: "127.0.0.1:7003"}
	member := Member{
		Name: "n2", Host: "127.0.0.1", Dir: "/var/lab/n2", Monitor: 8222,
		Ports: map[Link]int{Clients: 4222, Routes: 6222},
	}
	for _, c := range []struct {
		file string
		make func() Build
	}{
		{"frontend_a_node", func() Build {
			b := build(t)
			b.JetStream, b.Fronts = true, perNode
			return b
		}},
		{"shared_frontend", func() Build {
			b := build(t)
			b.JetStream, b.Fronts = true, map[Front]string{{Routes, VIP}: "127.0.0.1:7000"}
			return b
		}},
		{"scaled", func() Build {
			b := build(t, "cluster.ping_interval=20s")
			b.Fronts, b.Tuning.Factor = perNode, 7
			return b
		}},
		{"tuned", func() Build {
			b := build(t, "ping_interval=2m", "lab:cluster.ping_max=5", "cluster.ping_max=3", "cluster.advertise=none",
				"cluster.pool_size=1", "jetstream.max_mem=64MB", "websocket.no_tls=true", "server_tags=[a, b]")
			b.JetStream, b.Fronts = true, perNode
			return b
		}},
		{"mapped", func() Build {
			b := build(t, "tls.handshake_first=auto")
			b.Topology, _ = Find("clients-behind-lb")
			b.Fronts = map[Front]string{{Clients, VIP}: "127.0.0.1:7000"}
			b.Identity = &Identity{}
			b.Logins = Logins{Mode: MTLS, Users: map[string]string{"SYS": "CN=sys", "ACC0": "CN=acc0", "ACC1c": "CN=acc1c", "ACC2": "CN=acc2"}}
			return b
		}},
		{"operator", func() Build {
			b := build(t)
			b.Topology, _ = Find("clients-behind-lb")
			b.Fronts = map[Front]string{{Clients, VIP}: "127.0.0.1:7000"}
			b.Logins = Logins{Mode: Creds, Operator: "eyJ.o", Signed: map[string]Signed{"SYS": {"AS", "eyJ.s"}, "ACC0": {"A0", "eyJ.0"}, "ACC1c": {"A1", "eyJ.1"}, "ACC2": {"A2", "eyJ.2"}}}
			return b
		}},
		{"token", func() Build {
			b := build(t)
			b.Topology, _ = Find("clients-behind-lb")
			b.JetStream, b.Fronts, b.Logins = true, map[Front]string{{Clients, VIP}: "127.0.0.1:7000"}, Logins{Mode: Token, Token: "T"}
			return b
		}},
		{"websocket", func() Build {
			b := build(t, "websocket.ping_interval=30s")
			b.Topology, _ = Find("websocket-behind-lb")
			b.Fronts, b.Tuning.Factor = map[Front]string{{Websocket, VIP}: "127.0.0.1:7000", {Routes, "n1"}: "127.0.0.1:6221"}, 10
			return b
		}},
		{"gateways", func() Build {
			b := build(t, "gateway.connect_backoff=true", "west:ping_interval=5s")
			b.Topology, _ = Find("gateways-behind-lb")
			b.JetStream, b.Tuning.Factor = true, 10
			b.Fronts = map[Front]string{{Gateways, "east"}: "127.0.0.1:7001", {Gateways, "west"}: "127.0.0.1:7002", {Routes, "e1"}: "127.0.0.1:6221"}
			return b
		}},
		{"gateways_a_node", func() Build {
			b := build(t, "gateway.advertise=none")
			b.Topology, _ = Find("gateways-behind-lb")
			b.Fronts = map[Front]string{{Gateways, "w1"}: "127.0.0.1:7001", {Gateways, "w2"}: "127.0.0.1:7002", {Gateways, "w3"}: "127.0.0.1:7003"}
			return b
		}},
		{"hub", func() Build {
			b := build(t, "leaf:leafnodes.remotes.no_randomize=true", "leafnodes.remotes.ignore_discovered_servers=true", "leafnodes.compression=off")
			b.Topology, _ = Find("leafnodes-behind-lb")
			b.JetStream, b.Fronts = true, map[Front]string{{Leafnodes, VIP}: "127.0.0.1:7000", {Routes, "h1"}: "127.0.0.1:6221"}
			return b
		}},
		{"leaf", func() Build {
			b := build(t, "leaf:leafnodes.remotes.no_randomize=true", "leafnodes.remotes.ignore_discovered_servers=true", "leafnodes.compression=off",
				"leaf:ping_interval=25s", "cluster.ping_interval=8s")
			b.Topology, _ = Find("leafnodes-behind-lb")
			b.JetStream, b.Tuning.Factor = true, 10
			b.Fronts = map[Front]string{{Leafnodes, "h1"}: "127.0.0.1:7001", {Leafnodes, "h2"}: "127.0.0.1:7002", {Leafnodes, "h3"}: "127.0.0.1:7003"}
			return b
		}},
	} {
		member := member
		switch c.file {
		case "websocket":
			member.Ports = map[Link]int{Clients: 4222, Routes: 6222, Websocket: 8080}
		case "gateways", "gateways_a_node":
			member.Name, member.Ports = "e2", map[Link]int{Clients: 4222, Routes: 6222, Gateways: 7222}
		case "hub":
			member.Name, member.Ports = "h2", map[Link]int{Clients: 4222, Routes: 6222, Leafnodes: 7422}
		case "leaf":
			member.Name, member.Ports = "l2", map[Link]int{Clients: 4222}
		}
		got, err := Render(c.make(), member)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		golden := filepath.Join("testdata", c.file+".conf")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.file, got, want)
		}
	}
}

func TestAScaledBuildWithoutJetStreamIgnoresItsSettings(t *testing.T) {
	plain, err := Render(build(t), Member{Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	tuned, err := Render(build(t, "jetstream.max_file_store=1GB"), Member{Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if tuned != plain {
		t.Errorf("a jetstream block was written:\n%s", tuned)
	}
}

func TestRenderKnowsItsNodes(t *testing.T) {
	if _, err := Render(build(t), Member{Name: "n9"}); err == nil {
		t.Error("a node that the topology does not have was rendered")
	}
}

func TestWhatANodeAdvertisesIsItsFrontendUnlessSomethingElseIsSaid(t *testing.T) {
	for _, c := range []struct {
		said map[Front]string
		want string
	}{
		{nil, `client_advertise: "127.0.0.1:4222"`},
		{map[Front]string{{Clients, "n1"}: "127.0.0.1:9"}, `client_advertise: "127.0.0.1:9"`},
		{map[Front]string{{Clients, "n1"}: ""}, ""},
		{map[Front]string{{Clients, "n2"}: ""}, `client_advertise: "127.0.0.1:4222"`},
	} {
		top, _ := Find("clients-behind-lb")
		text, err := Render(Build{Topology: top, Fronts: map[Front]string{{Clients, VIP}: "127.0.0.1:4222"}, Advertised: c.said}, Member{Name: "n1"})
		if err != nil {
			t.Fatal(err)
		}
		if c.want == "" && strings.Contains(text, "client_advertise") || !strings.Contains(text, c.want) {
			t.Errorf("with %v: want %q in\n%s", c.said, c.want, text)
		}
	}
}
