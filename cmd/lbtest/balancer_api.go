package main

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// toxiproxyAPI is where toxiproxy's clients find a balancer; nil where nobody asked for it.
type toxiproxyAPI struct {
	listener net.Listener
	server   http.Server
	serving  sync.WaitGroup
}

// openAPI has an address before anything starts; requests wait until serve. Its errors are the user's.
func openAPI(addr string) (*toxiproxyAPI, error) {
	if addr == "" {
		return nil, nil
	}
	if err := checkAddress(addr, true); err != nil {
		return nil, fmt.Errorf("--toxiproxy-api: %w", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--toxiproxy-api: %w", err)
	}
	return &toxiproxyAPI{listener: l}, nil
}

// headerWithin is how long a client may take over a request's header: enough by hand, and no connection is held for ever.
const headerWithin = 10 * time.Second

// serve answers requests about a balancer that forwards, and says where.
func (a *toxiproxyAPI) serve(b *proxies.Balancer, log *lines) error {
	if a == nil {
		return nil
	}
	handler, err := proxies.ToxiproxyAPI(b)
	if err != nil {
		return err
	}
	a.server = http.Server{Handler: handler, ReadHeaderTimeout: headerWithin}
	a.serving.Go(func() { a.server.Serve(a.listener) }) // until close
	log.say("toxiproxy's API at http://%s", a.listener.Addr())
	return nil
}

// close ends what there is, requests under way included. Closing again does nothing.
func (a *toxiproxyAPI) close() {
	if a == nil {
		return
	}
	a.server.Close()
	a.listener.Close()
	a.serving.Wait()
}
