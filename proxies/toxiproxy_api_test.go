package proxies

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"
)

// stockClient is toxiproxy's own client before the balancer's API.
func stockClient(t *testing.T, l *lab) (*client.Client, string) {
	t.Helper()
	api, err := ToxiproxyAPI(l.Balancer)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	// The client uses Go's default transport, whose idle connections would be found among what is left.
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return client.NewClient(server.URL), server.URL
}

var twoFronts = []front{{Front{Name: "n1"}, []string{"b1"}}, {Front{Name: "n2"}, []string{"b2", "b3"}}}

func TestAStockClientListsTheFrontends(t *testing.T) {
	l := start(t, Direct(), twoFronts...)
	c, _ := stockClient(t, l)
	proxies, err := c.Proxies()
	if err != nil {
		t.Fatal(err)
	}
	if len(proxies) != 2 {
		t.Errorf("got %d proxies, want 2", len(proxies))
	}
	for name, upstream := range map[string]string{
		"n1": l.backends["n1"][0].Addr,
		"n2": l.backends["n2"][0].Addr + "," + l.backends["n2"][1].Addr,
	} {
		got := proxies[name]
		if got == nil || got.Name != name || got.Listen != l.Addr(name) || got.Upstream != upstream || !got.Enabled {
			t.Errorf("got %+v for %s", got, name)
		}
	}
}

func TestAStockClientStagesALatencyOnLiveConnections(t *testing.T) {
	const first, second = 100 * time.Millisecond, 200 * time.Millisecond
	l := start(t, Direct(), twoFronts...)
	one, server := l.connect()
	c, _ := stockClient(t, l)
	proxy, err := c.Proxy("n1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.AddToxic("slow", "latency", "upstream", 1, client.Attributes{"latency": first.Milliseconds()}); err != nil {
		t.Fatal(err)
	}
	if took := takes(t, one, server); took < first {
		t.Errorf("a byte took %s with a latency of %s", took, first)
	}
	if got, err := proxy.UpdateToxic("slow", -1, client.Attributes{"latency": second.Milliseconds()}); err != nil || got.Attributes["latency"] != float64(second.Milliseconds()) {
		t.Errorf("got %+v and %v", got, err)
	}
	if took := takes(t, one, server); took < second {
		t.Errorf("a byte took %s with a latency of %s", took, second)
	}
	listed, err := proxy.Toxics()
	if err != nil || len(listed) != 1 || listed[0].Name != "slow" || listed[0].Stream != "upstream" {
		t.Errorf("got the toxics %+v and %v", listed, err)
	}
	if err := proxy.RemoveToxic("slow"); err != nil {
		t.Fatal(err)
	}
	quick(t, one, server, first)
}

func TestAStockClientPopulatesAndResets(t *testing.T) {
	const late = 100 * time.Millisecond
	l := start(t, Direct(), twoFronts...)
	c, _ := stockClient(t, l)
	listed, err := c.Proxies()
	if err != nil {
		t.Fatal(err)
	}
	populated, err := c.Populate([]client.Proxy{
		{Name: "n1", Listen: listed["n1"].Listen, Upstream: listed["n1"].Upstream, Enabled: true},
		{Name: "n2", Listen: strings.Replace(listed["n2"].Listen, "127.0.0.1", "localhost", 1), Upstream: listed["n2"].Upstream, Enabled: true},
	})
	if err != nil || len(populated) != 2 {
		t.Fatalf("populating with what is there: got %v and %v", populated, err)
	}
	one, server := l.connect()
	if _, err := populated[0].AddToxic("", "latency", "downstream", 1, client.Attributes{"latency": late.Milliseconds()}); err != nil {
		t.Fatal(err)
	}
	if took := takes(t, server, one); took < late {
		t.Errorf("a byte took %s with a latency of %s", took, late)
	}
	if err := listed["n2"].Disable(); err != nil {
		t.Fatal(err)
	}
	if err := c.ResetState(); err != nil {
		t.Fatal(err)
	}
	quick(t, server, one, late)
	say(t, l.dial("n2"), l.reached("b2"), "enabled again")
	if got, err := c.Proxy("n1"); err != nil || len(got.ActiveToxics) != 0 {
		t.Errorf("got %+v and %v after a reset", got, err)
	}
}

func TestADisabledFrontendEndsItsConnectionsAndRefusesNewOnes(t *testing.T) {
	l := start(t, Direct(), twoFronts...)
	here, _ := l.connect()
	there, served := l.dial("n2"), l.reached("b2")
	c, _ := stockClient(t, l)
	proxy, err := c.Proxy("n1")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := proxy.Disable(); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "who was connected", here, eof)
	l.tells("n1#1", "begin", "end fin disabled")
	if c, err := net.Dial("tcp", l.Addr("n1")); err == nil {
		c.Close()
		t.Error("a disabled frontend accepts")
	}
	say(t, there, served, "undisturbed")
	if err := l.fall("test"); err != nil {
		t.Error(err)
	}
	if err := l.rise(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", l.Addr("n1")); err == nil {
		c.Close()
		t.Error("a disabled frontend accepts after a restart of the balancer")
	}
	if err := proxy.Enable(); err != nil {
		t.Fatal(err)
	}
	say(t, l.dial("n1"), l.reached("b1"), "enabled again")
	l.tells("", "disabled", "enabled")
}

// TestNoRequestHangs has what made toxiproxy wait for ever, and what this API does not do, answered.
func TestNoRequestHangs(t *testing.T) {
	l := start(t, with(t, "stall=1h"), twoFronts...)
	reader, flooded := l.connect() // does not read
	flooded.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	flooded.Write(make([]byte, 64<<20))
	_, url := stockClient(t, l)
	striking, stop := context.WithCancel(t.Context())
	defer stop()
	struck := make(chan error)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/proxies/n1/toxics", `{"type":"latency","attributes":{"latency":50}}`, 200, `"name":"latency_downstream"`},
		{"POST", "/proxies/n1/toxics", `{"type":"latency","attributes":{"latency":50}}`, 409, "already exists"},
		{"POST", "/proxies/n1/toxics", `{"type":"slicer","attributes":{"average_size":0}}`, 400, "average_size=0"},
		{"POST", "/proxies/n1/toxics", `{"type":"slicer"}`, 400, "average_size=0"},
		{"POST", "/proxies/n1/toxics", `{"type":"noop","toxicity":7}`, 400, "toxicity"},
		{"POST", "/proxies/n1/toxics", `{"type":"no-such"}`, 400, "invalid toxic type"},
		{"POST", "/proxies/n1/toxics", `{`, 400, "bad request body"},
		{"PATCH", "/proxies/n1/toxics/latency_downstream", `{"attributes":{"latency":"long"}}`, 400, "bad request body"},
		{"GET", "/proxies/n1/toxics", "", 200, `[{"attributes":{"latency":50,"jitter":0},"name":"latency_downstream","type":"latency","stream":"downstream","toxicity":1}]`},
		{"PATCH", "/proxies/n1/toxics/no-such", `{}`, 404, "toxic not found"},
		{"DELETE", "/proxies/n1/toxics/latency_downstream", "", 204, ""},
		{"POST", "/proxies/n9/toxics", `{"type":"noop"}`, 404, "proxy not found"},
		{"POST", "/proxies", `{"name":"n3","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}`, 403, "another balancer"},
		{"DELETE", "/proxies/n1", "", 403, "not deleted"},
		{"POST", "/proxies/n1", `{"listen":"127.0.0.1:1"}`, 403, "cannot be moved"},
		{"POST", "/proxies/n1", `{"upstream":"127.0.0.1:1"}`, 403, "cannot be moved"},
		{"POST", "/proxies/n1", `{"enabled":"perhaps"}`, 400, "bad request body"},
		{"PATCH", "/proxies/n9", `{"enabled":false}`, 404, "proxy not found"},
		{"POST", "/populate", `[{"name":"n3","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}]`, 403, `no frontend \"n3\" (frontends: n1, n2)`},
		{"POST", "/populate", `[{"name":"n1","listen":"","upstream":"127.0.0.1:1"}]`, 403, "cannot be moved"},
		{"POST", "/populate", `[{"name":"n1"}]`, 201, `"name":"n1"`},
		{"POST", "/populate", `{}`, 400, "bad request body"},
		{"POST", "/elsewhere", ``, 404, ""},
		{"GET", "/version", "", 200, "version"},
		{"stall", "", "", 0, ""},
		{"POST", "/proxies/n1/toxics", `{"type":"noop"}`, 200, "noop"},
		{"POST", "/proxies/n1", `{"enabled":false}`, 409, "under way"},
		{"POST", "/reset", ``, 204, ""},
		{"stop", "", "", 0, ""},
		{"POST", "/proxies/n1", `{"enabled":false}`, 200, `"enabled":false`},
		{"POST", "/reset", ``, 204, ""},
	} {
		switch c.method {
		case "stall":
			go func() { struck <- l.Strike(striking) }()
			l.event(KindStall)
			continue
		case "stop":
			stop()
			if err := <-struck; !errors.Is(err, context.Canceled) {
				t.Error("the stall ended with", err)
			}
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		request, err := http.NewRequestWithContext(ctx, c.method, url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatalf("%s %s %s: %v", c.method, c.path, c.body, err)
		}
		got, _ := io.ReadAll(response.Body)
		response.Body.Close()
		cancel()
		if response.StatusCode != c.status || !strings.Contains(string(got), c.says) {
			t.Errorf("%s %s %s: got %d %s, want %d with %q", c.method, c.path, c.body, response.StatusCode, got, c.status, c.says)
		}
	}
	reader.Close()
}

func TestNoBrowserReachesTheAPI(t *testing.T) {
	l := start(t, Direct())
	api, err := ToxiproxyAPI(l.Balancer)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/reset", "/populate", "/proxies/n1", "/proxies/n1/toxics"} {
		request := httptest.NewRequest("POST", path, strings.NewReader(`{"enabled":false}`))
		request.Header.Set("User-Agent", "Mozilla/5.0")
		answer := httptest.NewRecorder()
		if api.ServeHTTP(answer, request); answer.Code != http.StatusForbidden {
			t.Errorf("%s: got %d", path, answer.Code)
		}
	}
}

func TestTheAPINeedsABalancerThatForwards(t *testing.T) {
	l := listen(t, Direct())
	if _, err := ToxiproxyAPI(l.Balancer); err == nil {
		t.Error("offered before serving")
	}
}
