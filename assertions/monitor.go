package assertions

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// watcher asks the nodes' monitoring ports. It reuses connections, so that a look costs little.
var watcher = &http.Client{
	// A monitoring port on the same machine answers within milliseconds; one that takes longer than this
	// belongs to a node that is paused or drowning.
	Timeout: 2 * time.Second,
	// Several observations ask a node at the same time: its links, both accounts' Raft groups, its streams.
	Transport: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 10 * time.Second},
}

func ask(ctx context.Context, n Node, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.Monitor+path, nil)
	if err != nil {
		return fmt.Errorf("asking %s for %s: %w", n.Name, path, err)
	}
	resp, err := watcher.Do(req)
	if err != nil {
		return fmt.Errorf("asking %s for %s: %w", n.Name, path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, resp.Body)
		return fmt.Errorf("asking %s for %s: %s", n.Name, path, resp.Status)
	}
	body, err := io.ReadAll(resp.Body) // to its end, or the connection would not be used again
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("reading %s of %s: %w", path, n.Name, err)
	}
	return nil
}

// routez is what lbtest reads of /routez.
type routez struct {
	Routes []struct {
		Peer string `json:"remote_name"`
		// The other end as this node sees it: the frontend it dialled, or the balancer's own address.
		// did_solicit does not tell which: an accepted route becomes solicited once it is known to be a
		// configured one.
		IP      string `json:"ip"`
		Port    int    `json:"port"`
		Account string `json:"account"` // of a dedicated route, the system account's among them
	} `json:"routes"`
}

// connz is what lbtest reads of /connz.
type connz struct {
	Connections []struct {
		ID     uint64    `json:"cid"`
		IP     string    `json:"ip"`
		Port   int       `json:"port"`
		Start  time.Time `json:"start"`
		Name   string    `json:"name"` // what the client calls itself; "" for one that never said CONNECT
		Lang   string    `json:"lang"`
		Reason string    `json:"reason"` // of a closed one
		// Only with auth=true: whom the server takes the client for, and the certificates that it saw.
		User    string `json:"authorized_user"`
		Account string `json:"account"`
		Peers   []struct {
			Subject string `json:"subject"`
			Print   string `json:"cert_sha256"`
		} `json:"tls_peer_certs"`
	} `json:"connections"`
}

// raftz is what lbtest reads of /raftz: account → group → its state on this node.
type raftz map[string]map[string]struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Quorum int    `json:"quorum_needed"`
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	Peers  map[string]struct {
		LastSeen string `json:"last_seen"` // for how long not, as a Go duration; "" for never
	} `json:"peers"`
}

// jsz is what lbtest reads of /jsz?streams=true.
type jsz struct {
	Meta *struct {
		Leader string `json:"leader"`
	} `json:"meta_cluster"`
	Accounts []struct {
		Streams []struct {
			Name  string `json:"name"`
			State struct {
				Messages int `json:"messages"`
				LastSeq  int `json:"last_seq"`
			} `json:"state"`
			// Only with raft=true: Raft's names of the stream's group and of its consumers'; none where there is one replica.
			Group          string `json:"stream_raft_group"`
			ConsumerGroups []struct {
				Name  string `json:"name"`
				Group string `json:"raft_group"`
			} `json:"consumer_raft_groups"`
		} `json:"stream_detail"`
	} `json:"account_details"`
}

func hostPort(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }
