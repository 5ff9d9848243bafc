package assertions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Looking watches a real endpoint, from the outside and gently: by hand at every address, as a dozen applications,
// and with some messages to an inbox of its own. It takes no longer than ctx allows, and what did not take place by
// then is simply not on the timeline.
func (e *Endpoint) Looking(ctx context.Context, rec *Recorder) {
	defer minding(rec)()
	e.knocking(ctx, rec)
	if !e.welcomed(rec) || ctx.Err() != nil {
		return // a NATS client would only learn the same, and read without end what has no end
	}
	var all sync.WaitGroup
	all.Go(func() { e.following(ctx, rec) })
	visitors := e.visiting(ctx, rec)
	e.talking(ctx, visitors, rec)
	e.comparing(ctx, rec)
	for _, v := range visitors {
		v.Close()
	}
	all.Wait()
}

// minding writes down when the tester itself got no CPU: what was late then is not the endpoint's doing. The returned
// function ends it.
func minding(rec *Recorder) (end func()) {
	const often = 20 * time.Millisecond // finer than what counts as late
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			slept := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(often):
			}
			if late := time.Since(slept) - often; late > prompt {
				rec.Add(Event{From: Lab, Kind: "late", Took: late})
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// welcomed reports whether an address greeted in the manner in which applications are to come.
func (e *Endpoint) welcomed(rec *Recorder) bool {
	want := listened
	if e.first {
		want = tlsFirst
	}
	return rec.SawAny(func(ev Event) bool { return ev.Kind == "greeting" && ev.How == want && ev.Info != nil })
}

// visiting connects as many applications as greeting does, and keeps them, as a balancer by least connections needs.
// One goes ahead: a server that refuses the credentials is asked once, since some count such attempts.
func (e *Endpoint) visiting(ctx context.Context, rec *Recorder) []*nats.Conn {
	visitors := make([]*nats.Conn, greeters)
	var refused bool
	if visitors[0], refused = e.visit(ctx, rec, 0); refused {
		return nil
	}
	var all sync.WaitGroup
	for i := 1; i < greeters; i++ {
		all.Go(func() { visitors[i], _ = e.visit(ctx, rec, i) })
	}
	all.Wait()
	return slices.DeleteFunc(visitors, func(nc *nats.Conn) bool { return nc == nil })
}

// visit connects one application and writes down what it learnt, nil where it learnt only why not.
func (e *Endpoint) visit(ctx context.Context, rec *Recorder, seq int) (nc *nats.Conn, refused bool) {
	began := rec.Now()
	nc, err := e.join(ctx, rec)
	told := Event{From: Client, Kind: "greeted", Seq: seq, Took: rec.Now() - began}
	if err != nil {
		told.Kind, told.Why, told.How = "ungreeted", e.mask(words(err, told.Took)), refusedHow(err)
		rec.Add(told)
		return nil, told.How == notLetIn
	}
	told.Node, told.Peer, told.Caller = nc.ConnectedServerName(), nc.ConnectedServerId(), nc.LocalAddr()
	told.Info = &Info{ID: nc.ConnectedServerId(), Name: nc.ConnectedServerName(), Version: nc.ConnectedServerVersion(), Cluster: nc.ConnectedClusterName(),
		Headers: nc.HeadersSupported(), MaxPayload: nc.MaxPayload()}
	// A server that reads PROXY headers says so a little later: its first line is older than the header.
	ip, err := nc.GetClientIP()
	if err != nil && nc.FlushTimeout(clientPatience) == nil {
		ip, err = nc.GetClientIP()
	}
	if err == nil {
		told.Info.ClientIP = ip.String()
	}
	rec.Add(told)
	return nc, false
}

// notLetIn marks connects that the server itself refused: nothing that a balancer did.
const notLetIn = "not-let-in"

func refusedHow(err error) string {
	for _, refusal := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, refusal) {
			return notLetIn
		}
	}
	return ""
}

// join connects one application of the tester.
func (e *Endpoint) join(ctx context.Context, rec *Recorder) (*nats.Conn, error) {
	return e.Target.dial(e.Target.Accounts[0], e.name, nats.SetCustomDialer(bounded{ctx, e.within}), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		rec.Add(Event{From: Client, Kind: "complained", Why: e.mask(err.Error())})
	}))
}

// following tries what servers advertise to their clients: where applications go when they reconnect.
func (e *Endpoint) following(ctx context.Context, rec *Recorder) {
	own := map[string]bool{}
	for _, d := range e.doors {
		own[d.String()] = true
	}
	var advertised []string
	for _, ev := range rec.Events() {
		if ev.Kind == "resolved" {
			own[ev.Addr] = true
		}
		if ev.Info == nil {
			continue
		}
		for _, u := range ev.Info.URLs {
			if !slices.Contains(advertised, u) {
				advertised = append(advertised, u)
			}
		}
	}
	slices.Sort(advertised)
	const enough = 16 // more of them are alike
	told := make([]Event, len(advertised))
	var all sync.WaitGroup
	for i, u := range advertised {
		told[i] = Event{From: Client, Kind: "advertised", Addr: u, What: private(u)}
		switch {
		case own[u]:
			told[i].How = "own"
		case i >= enough:
			told[i].How = "untried"
		default:
			all.Go(func() { told[i].How, told[i].Took, told[i].Why = follow(ctx, u, own) })
		}
	}
	all.Wait()
	for _, t := range told {
		rec.Add(t)
	}
}

// follow tries one advertised address.
func follow(ctx context.Context, addr string, own map[string]bool) (how string, took time.Duration, why string) {
	const patience = time.Second // twice what a packet takes around the world, and a lost SYN is sent again after one
	began := time.Now()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", addr)
	took = time.Since(began)
	if err != nil {
		return "unreachable", took, unreached(err)
	}
	defer conn.Close()
	if own[conn.RemoteAddr().String()] {
		return "own", took, "" // another name of the same address
	}
	return "reachable", took, ""
}

// private says of an address that only its own network knows it.
func private(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return ""
	case ip.IsLoopback():
		return "loopback"
	case ip.IsPrivate(), ip.IsLinkLocalUnicast():
		return "private"
	}
	return ""
}

// rounds is how many requests are timed: enough for a median, and gone in a blink.
const rounds = 20

// talking sends requests from one visitor to another, who sends them back as they came.
func (e *Endpoint) talking(ctx context.Context, visitors []*nats.Conn, rec *Recorder) {
	if len(visitors) < 2 || ctx.Err() != nil {
		return
	}
	asker, echo := apart(visitors)
	inbox, err := mirror(echo)
	if err != nil {
		rec.Add(Event{From: Client, Kind: "unanswered", Why: e.mask(err.Error())})
		return
	}
	began := rec.Now()
	// An interest needs a moment to reach the other servers; until then there is nobody who answers.
	warm, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	last := error(nil)
	if !until(warm, func() bool { last = bounce(asker, inbox, []byte("?"), nil); return last == nil || asker.IsClosed() }) || last != nil {
		rec.Add(Event{From: Client, Kind: "unanswered", Took: rec.Now() - began, Why: e.mask(last.Error()), Node: asker.ConnectedServerName(), Peer: echo.ConnectedServerName()})
		return
	}
	for i := range rounds {
		if ctx.Err() != nil {
			return
		}
		began := rec.Now()
		told := Event{From: Client, Kind: "answered", Seq: i, Node: asker.ConnectedServerName(), Peer: echo.ConnectedServerName()}
		if err := bounce(asker, inbox, []byte(fmt.Sprint(i)), nil); err != nil {
			told.Kind, told.Why = "unanswered", e.mask(err.Error())
		}
		told.Took = rec.Now() - began
		rec.Add(told)
	}
	e.echoing(ctx, asker, echo, inbox, rec)
}

// apart are two connections at different servers, if there are such. Stand-ins know nothing of each other.
func apart(visitors []*nats.Conn) (*nats.Conn, *nats.Conn) {
	if visitors[0].ConnectedServerVersion() == standInVersion {
		for _, v := range visitors[1:] {
			if v.ConnectedServerId() == visitors[0].ConnectedServerId() {
				return visitors[0], v
			}
		}
	}
	for _, v := range visitors[1:] {
		if v.ConnectedServerId() != visitors[0].ConnectedServerId() {
			return visitors[0], v
		}
	}
	return visitors[0], visitors[1]
}

// mirror lets echo send back whatever comes to an inbox of its own.
func mirror(echo *nats.Conn) (inbox string, err error) {
	inbox = echo.NewInbox()
	for _, subject := range []string{inbox, inbox + ".>"} { // the latter for subjects that are long
		if _, err := echo.Subscribe(subject, func(m *nats.Msg) {
			_ = m.RespondMsg(&nats.Msg{Data: m.Data, Header: m.Header}) // a lost answer is what the asker sees
		}); err != nil {
			return "", fmt.Errorf("subscribing to an inbox: %w", err)
		}
	}
	if err := echo.FlushTimeout(clientPatience); err != nil {
		return "", fmt.Errorf("subscribing to an inbox: %w", err)
	}
	return inbox, nil
}

// bounce sends a payload and wants it back unchanged.
func bounce(nc *nats.Conn, inbox string, payload []byte, header nats.Header) error {
	// A local answer takes a millisecond, one around the world a third of a second; a megabyte there and back takes two at
	// 10 Mbit/s.
	patience := time.Second + time.Duration(len(payload))*2*time.Microsecond
	m, err := nc.RequestMsg(&nats.Msg{Subject: inbox, Data: payload, Header: header}, patience)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(m.Data, payload):
		return fmt.Errorf("%d bytes were sent and %d others came back", len(payload), len(m.Data))
	}
	for key := range header {
		if m.Header.Get(key) != header.Get(key) {
			return fmt.Errorf("header %s came back changed", key)
		}
	}
	return nil
}

// oddity is a payload that an inspection may take for something else.
type oddity struct {
	name    string
	payload []byte
	header  nats.Header
	tail    string // of the subject
}

func oddities(headers bool) []oddity {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	large := make([]byte, 64<<10) // more than one read of most proxies, far below max_payload's default of 1 MB
	noise := rand.NewChaCha8([32]byte{})
	_, _ = noise.Read(large)     // never fails
	whole := make([]byte, 1<<20) // the default of max_payload
	_, _ = noise.Read(whole)
	odd := []oddity{
		{name: "an HTTP request", payload: []byte("GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")},
		{name: "an SQL injection", payload: []byte("' OR 1=1; DROP TABLE users; --")},
		{name: "a TLS ClientHello", payload: append([]byte{0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03}, all[:32]...)},
		{name: "a PROXY v1 header", payload: []byte("PROXY TCP4 192.0.2.1 192.0.2.2 12345 4222\r\n")},
		{name: "a PROXY v2 header", payload: append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), all[:12]...)},
		{name: "lines of NATS", payload: []byte("\r\nPING\r\nINFO {}\r\n-ERR 'x'\r\nMSG a 1 0\r\n\r\n")},
		{name: "every byte", payload: all},
		{name: "64 KB of noise", payload: large},
		{name: "a subject of 2,000 letters", payload: []byte("x"), tail: strings.Repeat(".abcdefghi", 200)}, // the server's own limit for a line is 4 KB
		{name: "nothing", payload: []byte{}},
		{name: "1 MB", payload: whole},
	}
	if headers {
		odd = append(odd, oddity{name: "NATS headers", payload: []byte("x"), header: nats.Header{"Content-Type": {"text/html; charset=utf-8"}, "X-Long": {strings.Repeat("x", 1000)}}})
	}
	return odd
}

// echoing sends odd payloads around. A connection that one of them costs is made again for the next.
func (e *Endpoint) echoing(ctx context.Context, asker, echo *nats.Conn, inbox string, rec *Recorder) {
	for _, o := range oddities(asker.HeadersSupported()) {
		if ctx.Err() != nil {
			return
		}
		if int64(len(o.payload)) > asker.MaxPayload() {
			continue
		}
		began := rec.Now()
		told := Event{From: Client, Kind: "echoed", What: o.name, Count: len(o.payload)}
		if err := bounce(asker, inbox+o.tail, o.payload, o.header); err != nil {
			told.Kind, told.Why = "unechoed", e.mask(err.Error())
		}
		if asker.IsClosed() || echo.IsClosed() {
			told.How = "cut"
		}
		told.Took = rec.Now() - began
		rec.Add(told)
		if told.How != "cut" {
			continue
		}
		var err error
		if asker, echo, inbox, err = e.again(ctx, rec); err != nil {
			return
		}
		defer asker.Close()
		defer echo.Close()
	}
}

// again makes a new pair for talking.
func (e *Endpoint) again(ctx context.Context, rec *Recorder) (asker, echo *nats.Conn, inbox string, err error) {
	if asker, err = e.join(ctx, rec); err != nil {
		return nil, nil, "", err
	}
	if echo, err = e.join(ctx, rec); err != nil {
		asker.Close()
		return nil, nil, "", err
	}
	if inbox, err = mirror(echo); err == nil {
		warm, cancel := context.WithTimeout(ctx, clientPatience)
		defer cancel()
		if until(warm, func() bool { return bounce(asker, inbox, []byte("?"), nil) == nil }) {
			return asker, echo, inbox, nil
		}
		err = errors.New("nobody answers on the new connections")
	}
	asker.Close()
	echo.Close()
	return nil, nil, "", err
}
