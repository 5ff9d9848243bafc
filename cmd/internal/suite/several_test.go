package suite

import (
	"slices"
	"strings"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

func TestASettingIsForEveryBalancerOrForOne(t *testing.T) {
	top, _ := topologies.Find("all-behind-lb")
	given := []string{"idle-timeout=60s", "gateways:idle-timeout=8s", "routes:stall=1s"}
	for link, want := range map[topologies.Link]string{
		topologies.Clients: "idle-timeout=60s", topologies.Routes: "idle-timeout=60s stall=1s", topologies.Gateways: "idle-timeout=8s",
	} {
		if got, err := addressed(top, link, given); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: got %v %v, want %s", link, got, err, want)
		}
	}
	if _, err := addressed(top, topologies.Clients, []string{"leafnodes:stall=1s"}); err == nil || !strings.Contains(err.Error(), "clients, routes, gateways") {
		t.Errorf("a link that is not balanced: %v", err)
	}
	if _, err := addressed(top, topologies.Clients, []string{"clients:=1s"}); err == nil {
		t.Error("a setting without a name is taken")
	}
}

func TestALinkOfAnOnlyBalancerMayBeNamed(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{routes}, Set: []string{"routes:stall=1s"}, Runtime: paper{}})
	if err != nil || len(p.scenarios) != 1 || p.scenarios[0].settings["stall"] != "1s" {
		t.Fatalf("got %v", err)
	}
	if _, err := NewPlan(Options{Topologies: []string{routes}, Set: []string{"stall=1s", "routes:stall=2s"}, Runtime: paper{}}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("told twice: %v", err)
	}
}

func TestEachLinkIsJudgedWithAllBalancersInPlace(t *testing.T) {
	p, err := NewPlan(Options{Topologies: []string{"all-behind-lb"}, Set: []string{"idle-timeout=60s", "gateways:idle-timeout=8s"}, Runtime: paper{}})
	if err != nil {
		t.Fatal(err)
	}
	judged := map[topologies.Link]bool{}
	for _, l := range p.scenarios[0].labs {
		judged[l.link()] = true
		timeouts := []string{string(l.link()) + " " + l.profile.Value("idle-timeout")}
		for _, n := range l.neighbours {
			timeouts = append(timeouts, string(n.link)+" "+n.profile.Value("idle-timeout"))
		}
		slices.Sort(timeouts)
		if got, want := strings.Join(timeouts, ", "), "clients 60s, gateways 8s, routes 60s"; got != want {
			t.Errorf("a lab that judges %s has %s, want %s", l.link(), got, want)
		}
		for _, n := range l.control().neighbours {
			if n.profile.Value("idle-timeout") != "none" {
				t.Errorf("the control of %s has a balancer of %s that does something", l.link(), n.link)
			}
		}
	}
	if len(judged) != 3 {
		t.Errorf("judged are %v, want three links", judged)
	}
	s := p.scenarios[0]
	if again := s.reproduce(p.options, 1); !strings.Contains(again, "--set idle-timeout=60s --set gateways:idle-timeout=8s") {
		t.Errorf("repeated by %s", again)
	}
	changed, err := s.with(adviceOf("idle-timeout", "5m"), fastest, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := changed.settings["gateways:idle-timeout"] + " " + changed.settings["idle-timeout"]; got != "5m 5m" {
		t.Errorf("advised, it is %s", got)
	}
}

// The servers have one client port: whoever comes to it, whichever link is judged, meets what the clients' view implies.
func TestWhereClientsCrossABalancerToEveryViewSpeaksAsTheyDo(t *testing.T) {
	clear := assertions.Security{Balancer: "passthrough", Auth: "password"}
	verified := assertions.Security{Clients: assertions.InfoFirst, Servers: assertions.InfoFirst, Balancer: "passthrough", Verified: true, Auth: "password"}
	keyed := clear
	keyed.Auth = "nkey"
	ended := clear
	ended.Balancer, ended.Clients = "terminate", assertions.TLSFirst
	again := assertions.Security{Clients: assertions.TLSFirst, Servers: assertions.TLSFirst, Balancer: "re-encrypt", Auth: "password"}
	first := again
	first.Balancer = "passthrough"
	for _, c := range []struct {
		asked           Options
		clients, others assertions.Security
	}{
		{Options{Set: []string{"stall=1s"}}, clear, clear},
		{Options{Set: []string{"stall=1s"}, Auth: "nkey"}, keyed, keyed},
		{Options{Set: []string{"stall=1s"}, Nats: []string{"tls.verify=true"}}, verified, verified},
		{Options{Set: []string{"stall=1s", "clients:tls=passthrough"}, Nats: []string{"tls.verify=true"}}, verified, verified},
		{Options{Set: []string{"stall=1s", "clients:tls=terminate"}, Client: []string{"tls-first=true"}}, ended, clear},
		{Options{Set: []string{"stall=1s", "clients:tls=re-encrypt"}, Nats: []string{"tls.handshake_first=true"}, Client: []string{"tls-first=true"}}, again, first},
	} {
		c.asked.Topologies, c.asked.Runtime = []string{"all-behind-lb"}, paper{}
		p, err := NewPlan(c.asked)
		if err != nil {
			t.Fatal(err)
		}
		judged := map[topologies.Link]bool{}
		for _, l := range p.scenarios[0].labs {
			judged[l.link()] = true
			want := c.others
			if l.link() == topologies.Clients {
				want = c.clients
			}
			if l.security != want {
				t.Errorf("%v %v: %s are judged with %+v, want %+v", c.asked.Set, c.asked.Nats, l.link(), l.security, want)
			}
			if got := l.terms().Security; got != want {
				t.Errorf("%v %v: where %s are judged, judges read %+v, want %+v", c.asked.Set, c.asked.Nats, l.link(), got, want)
			}
		}
		if len(judged) != 3 {
			t.Errorf("%v %v: judged are %v, want three links: %s", c.asked.Set, c.asked.Nats, judged, p.scenarios[0].skip)
		}
	}
}

func TestWhatServersCannotAnswerIsLeftOutOnEveryLink(t *testing.T) {
	for _, c := range []struct {
		asked Options
		why   string
	}{
		{Options{Set: []string{"stall=1s", "tls=terminate"}}, "--set clients:tls=terminate"},
		{Options{Set: []string{"stall=1s", "routes:tls=re-encrypt"}}, "routes have no TLS"},
		{Options{Set: []string{"stall=1s"}, Client: []string{"tls-first=true"}}, "nobody here would answer in TLS"},
	} {
		c.asked.Topologies, c.asked.Runtime = []string{"all-behind-lb"}, paper{}
		p, err := NewPlan(c.asked)
		if err != nil {
			t.Fatal(err)
		}
		if s := p.scenarios[0]; !strings.Contains(s.skip, c.why) || len(s.labs) > 0 {
			t.Errorf("%v: skipped for %q with %d labs, want %q", c.asked.Set, s.skip, len(s.labs), c.why)
		}
	}
}

func TestEveryRouteOfThePoolCarriesASignedAccount(t *testing.T) {
	top, _ := topologies.Find("all-behind-lb")
	b := topologies.Build{Topology: top}
	made, err := newSecrets(assertions.Security{Balancer: "passthrough", Auth: "creds"}, b, site{}.hosts)
	if err != nil {
		t.Fatal(err)
	}
	b.Logins.Mode = topologies.Creds
	size := b.Routing().PoolSize
	carried := map[int]bool{}
	for _, a := range b.Accounts() {
		if !a.System {
			carried[topologies.PoolIndex(made.logins.Signed[a.Name].PublicKey, size)] = true
		}
	}
	if size < 2 || len(carried) != size {
		t.Errorf("of %d routes %v carry an account", size, carried)
	}
}

func adviceOf(setting, value string) assertions.Advice {
	return assertions.Advice{Set: map[string]string{setting: value}}
}
