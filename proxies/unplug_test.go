package proxies

import (
	"testing"
	"time"
)

func TestAnUnpluggedBackendAnswersNobodyUntilItIsPluggedIn(t *testing.T) {
	l := start(t, with(t, "health-check=tcp", "health-interval=300ms", "health-fall=2"), bothBehindOne) // tcp: a check that connects would be taken for the client
	client, server := l.dial("vip"), l.behind("vip#1")                                                  // a check that was late is let in, too
	if err := l.Unplug("b1"); err != nil {
		t.Fatal(err)
	}
	if l.Unplug("b1") == nil || l.Unplug("b3") == nil || l.Plug("b2") == nil {
		t.Error("what does not fit was accepted")
	}
	until(t, "b1 is found dead", func() (bool, string) {
		for _, e := range l.all() {
			if e.Kind == KindDown && e.Backend == "b1" {
				return true, ""
			}
		}
		return false, "no down"
	})
	l.dial("vip")
	if to := l.find(KindBegin, "vip#2").Backend; to != "b2" {
		t.Errorf("a new connection went to %s", to)
	}
	expect(t, "whoever was connected", client, silence)
	if err := l.Plug("b1"); err != nil {
		t.Fatal(err)
	}
	expect(t, "whoever was connected, who says nothing", client, silence)
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	expect(t, "whoever was connected and speaks", client, rst)
	server.Close()
	l.tells("vip#1", "begin", "expired rst-on-next node-fault", "gave-up rst client", "gave-up fin server", "end rst-on-next node-fault")
}

func TestAConnectToAnUnpluggedBackendWaits(t *testing.T) {
	l := start(t, Direct())
	if err := l.Unplug("b1"); err != nil {
		t.Fatal(err)
	}
	client := l.dial("n1")
	expect(t, "who waits", client, silence)
	before := time.Now()
	if err := l.Plug("b1"); err != nil {
		t.Fatal(err)
	}
	say(t, client, l.reached("b1"), "at last")
	if took := time.Since(before); took > patience {
		t.Errorf("it took %s", took)
	}
}
