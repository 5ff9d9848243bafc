package suite

import (
	"slices"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

// What a row of a sweep says about servers and clients comes in the place of what was given for the whole run.
func TestARowOfASweepHasKeysOfItsOwn(t *testing.T) {
	client, err := assertions.ParseClientTuning([]string{"timeout=5s", "tls-first=false"})
	if err != nil {
		t.Fatal(err)
	}
	run := common{nats: []topologies.KeyValue{{Key: "ping_interval", Value: "1m"}, {Key: "proxy_protocol", Value: "false"}}, client: client, auth: topologies.Password, clients: 7}
	settings, all, own, err := configured([]string{"inspection=signature", "inspection-pattern=a:b", "nats:proxy_protocol=true", "client:tls-first=true", "auth:nkey"}, run)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"inspection=signature", "inspection-pattern=a:b"}; !slices.Equal(settings, want) {
		t.Errorf("settings %v, want %v", settings, want)
	}
	if want := "proxy_protocol=true tls-first=true auth:nkey"; strings.Join(own, " ") != want {
		t.Errorf("its own are %v, want %s", own, want)
	}
	if want := []topologies.KeyValue{{Key: "ping_interval", Value: "1m"}, {Key: "proxy_protocol", Value: "true"}}; !slices.Equal(all.nats, want) {
		t.Errorf("servers are told %v, want %v", all.nats, want)
	}
	if said := all.client.Said(); said["timeout"] != "5s" || said["tls-first"] != "true" || all.auth != topologies.NKey || all.clients != 7 {
		t.Errorf("clients are told %v, log in by %s, and are %d", said, all.auth, all.clients)
	}
	if run.client.TLSFirst() || run.nats[1].Value != "false" {
		t.Error("the whole run was changed")
	}
	for _, wrong := range []string{"nats:proxy_protocol", "client:tls=true", "auth:kerberos"} {
		if _, _, _, err := configured([]string{wrong}, run); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

// A scenario's command says all that its row said.
func TestARowOfASweepCanBeRepeated(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{"clients-behind-lb"}, Runtime: paper{}})
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]bool{}
	for _, s := range p.scenarios {
		again := s.reproduce(p.options, 1)
		if commands[again] {
			t.Errorf("two scenarios are repeated by %s", again)
		}
		commands[again] = true
		_, told, _ := strings.Cut(s.name, "/")
		for _, word := range strings.Split(told, ",") {
			if word = strings.Replace(word, "auth:", "--auth ", 1); !strings.Contains(again, word) {
				t.Errorf("%s: %s does not say %s", s.name, again, word)
			}
		}
	}
}
