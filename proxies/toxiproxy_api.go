package proxies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// ToxiproxyAPI is toxiproxy's own HTTP API for a balancer that forwards, so that its clients can stage byte faults
// on live connections. Each frontend is a proxy there: its listen is the frontend's address, its upstream the
// backends' addresses with commas between. Toxics, populate, reset, enable and disable work; what would make,
// move or delete a frontend is answered by 403, and what an event of the balancer's does not allow now by 409.
func ToxiproxyAPI(b *Balancer) (http.Handler, error) {
	if !b.event.TryLock() {
		return nil, fmt.Errorf("offering toxiproxy's API: %w", ErrBusy)
	}
	defer b.event.Unlock()
	// Metrics, which are off, are not optional to a server.
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	for _, d := range b.doors {
		if len(d.backends) == 0 {
			return nil, fmt.Errorf("offering toxiproxy's API: frontend %s does not forward yet", d.Name)
		}
		var upstream []string
		for _, behind := range d.backends {
			upstream = append(upstream, behind.Addr)
		}
		proxy := toxiproxy.NewProxy(server, d.Name, d.addr, strings.Join(upstream, ","))
		if err := server.Collection.Add(proxy, false); err != nil { // not started: that would listen at our address
			return nil, fmt.Errorf("offering toxiproxy's API: frontend %s: %w", d.Name, err)
		}
	}
	return &toxiproxyAPI{balancer: b, server: server, routes: server.Routes()}, nil
}

// toxiproxyAPI stands before toxiproxy's routes. Those work on proxies without a connection, so that nothing of theirs can
// wait for one; what they change is put into force by the balancer.
type toxiproxyAPI struct {
	balancer *Balancer
	server   *toxiproxy.ApiServer
	routes   http.Handler
	mu       sync.Mutex // one request at a time
}

// longestRequest is far above what a list of toxics for every frontend takes.
const longestRequest = 1 << 20

// ServeHTTP implements http.Handler.
func (a *toxiproxyAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestRequest)) // before mu: a client may be slow
	if err != nil {
		refuse(w, http.StatusBadRequest, "reading the request: "+err.Error())
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, proxy := range a.server.Collection.Proxies() {
		proxy.Enabled = !a.balancer.door(name).disabled.Load()
	}

	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	changes := r.Method != http.MethodGet && r.Method != http.MethodHead
	switch {
	case strings.HasPrefix(r.UserAgent(), "Mozilla/") || !changes:
		a.routes.ServeHTTP(w, r) // which refuses browsers: no web page is to reach it
	case len(path) == 1 && path[0] == "proxies":
		refuse(w, http.StatusForbidden, "the frontends are the balancer's: another one needs another balancer")
	case len(path) == 1 && path[0] == "populate":
		a.populate(w, r, body)
	case len(path) == 1 && path[0] == "reset":
		a.reset(w, r)
	case len(path) == 2 && path[0] == "proxies" && r.Method == http.MethodDelete:
		refuse(w, http.StatusForbidden, "the frontends are the balancer's: one can be disabled, not deleted")
	case len(path) == 2 && path[0] == "proxies":
		a.update(w, r, path[1], body)
	case len(path) >= 3 && path[0] == "proxies" && path[2] == "toxics":
		a.toxics(w, r, path[1])
	default:
		a.routes.ServeHTTP(w, r)
	}
}

// refuse answers in the form of toxiproxy's own errors.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(toxiproxy.ApiError{Message: why, StatusCode: status})
}

// refuseFor answers with what the balancer does not do.
func refuseFor(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if errors.Is(err, ErrBusy) {
		status = http.StatusConflict
	}
	refuse(w, status, err.Error())
}

// toxics has toxiproxy change a frontend's list, and puts that into force; if it cannot be, the list is as before.
func (a *toxiproxyAPI) toxics(w http.ResponseWriter, r *http.Request, front string) {
	proxy, err := a.server.Collection.Get(front)
	if err != nil {
		a.routes.ServeHTTP(w, r) // which says so
		return
	}
	before, err := listed(proxy)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer := httptest.NewRecorder()
	a.routes.ServeHTTP(answer, r)
	if answer.Code < 300 {
		err = a.enforce(proxy)
	}
	if answer.Code >= 300 || err != nil {
		// An update that was refused may have changed a part.
		proxy.Toxics.ResetToxics(r.Context())
		for _, was := range before {
			if _, again := proxy.Toxics.AddToxicJson(bytes.NewReader(was)); again != nil {
				err = errors.Join(err, again)
			}
		}
	}
	if err != nil {
		refuseFor(w, err)
		return
	}
	pass(w, answer)
}

// listed is a proxy's toxics as JSON, in the order of adding within each direction.
func listed(proxy *toxiproxy.Proxy) (all [][]byte, err error) {
	for _, t := range proxy.Toxics.GetToxicArray() {
		text, err := json.Marshal(t)
		if err != nil {
			return nil, fmt.Errorf("listing the toxics of %s: %w", proxy.Name, err)
		}
		all = append(all, text)
	}
	return all, nil
}

// enforce gives a frontend's connections the toxics that its proxy lists.
func (a *toxiproxyAPI) enforce(proxy *toxiproxy.Proxy) error {
	var staged []StagedToxic
	for _, t := range proxy.Toxics.GetToxicArray() {
		w := t.(*toxics.ToxicWrapper)
		d := Down
		if w.Direction == stream.Upstream {
			d = Up
		}
		staged = append(staged, StagedToxic{
			Toxic: Toxic{Type: w.Type, Attributes: w.Toxic}, Name: w.Name, Direction: d, Toxicity: float64(w.Toxicity),
		})
	}
	return a.balancer.SetToxics(proxy.Name, staged)
}

// pass gives an answer of toxiproxy's on.
func pass(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	w.Write(answer.Body.Bytes())
}

// wanted is what a request says about a proxy.
type wanted struct {
	Name     string  `json:"name"`
	Listen   *string `json:"listen"`
	Upstream *string `json:"upstream"`
	Enabled  *bool   `json:"enabled"`
}

// same says whether a request leaves a frontend where it is, and why not.
func (want wanted) same(proxy *toxiproxy.Proxy) error {
	if want.Listen != nil && *want.Listen != proxy.Listen {
		// As toxiproxy compares them: localhost is its address.
		addr, err := net.ResolveTCPAddr("tcp", *want.Listen)
		if err != nil || addr.String() != proxy.Listen {
			return fmt.Errorf("frontend %s listens at %s and cannot be moved to %q", proxy.Name, proxy.Listen, *want.Listen)
		}
	}
	if want.Upstream != nil && *want.Upstream != proxy.Upstream {
		return fmt.Errorf("frontend %s forwards to %s and cannot be moved to %q", proxy.Name, proxy.Upstream, *want.Upstream)
	}
	return nil
}

// enable enables or disables a frontend.
func (a *toxiproxyAPI) enable(proxy *toxiproxy.Proxy, enabled bool) error {
	do := a.balancer.Disable
	if enabled {
		do = a.balancer.Enable
	}
	if err := do(proxy.Name); err != nil {
		return err
	}
	proxy.Enabled = enabled
	return nil
}

// update enables or disables one frontend.
func (a *toxiproxyAPI) update(w http.ResponseWriter, r *http.Request, front string, body []byte) {
	proxy, err := a.server.Collection.Get(front)
	if err != nil {
		a.routes.ServeHTTP(w, r) // which says so
		return
	}
	var want wanted
	if err := json.Unmarshal(body, &want); err != nil {
		refuse(w, http.StatusBadRequest, "bad request body: "+err.Error())
		return
	}
	if err := want.same(proxy); err != nil {
		refuse(w, http.StatusForbidden, err.Error())
		return
	}
	if want.Enabled != nil {
		if err := a.enable(proxy, *want.Enabled); err != nil {
			refuseFor(w, err)
			return
		}
	}
	r.Method = http.MethodGet // what is left is to show it
	a.routes.ServeHTTP(w, r)
}

// populate takes a list of proxies that are the frontends, or some of them, as toxiproxy leaves alone those
// that are there already.
func (a *toxiproxyAPI) populate(w http.ResponseWriter, r *http.Request, body []byte) {
	var list []wanted
	if err := json.Unmarshal(body, &list); err != nil {
		refuse(w, http.StatusBadRequest, "bad request body: "+err.Error())
		return
	}
	var there []string
	for name := range a.server.Collection.Proxies() {
		there = append(there, name)
	}
	slices.Sort(there)
	same := make([]*toxiproxy.Proxy, 0, len(list))
	for _, want := range list {
		proxy, err := a.server.Collection.Get(want.Name)
		if err != nil {
			err = fmt.Errorf("there is no frontend %q (frontends: %s), and none can be made here", want.Name, strings.Join(there, ", "))
		} else {
			err = want.same(proxy)
		}
		if err != nil {
			refuse(w, http.StatusForbidden, err.Error())
			return
		}
		same = append(same, proxy)
	}
	// Toxiproxy would stop a proxy that differs, and wait for ever for one that was never started.
	body, err := json.Marshal(same)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.routes.ServeHTTP(w, r)
}

// reset enables every frontend and takes all toxics away.
func (a *toxiproxyAPI) reset(w http.ResponseWriter, r *http.Request) {
	for _, proxy := range a.server.Collection.Proxies() {
		if err := a.enable(proxy, true); err != nil { // toxiproxy would start those that are not, at our address
			refuseFor(w, err)
			return
		}
		proxy.Toxics.ResetToxics(r.Context())
		if err := a.enforce(proxy); err != nil {
			refuseFor(w, err)
			return
		}
	}
	a.routes.ServeHTTP(w, r)
}
