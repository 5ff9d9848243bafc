package topologies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// listensWithin is how long a node may take to say whether it listens, or what it is: an answer takes about a
// millisecond, and a paused node gives none.
const listensWithin = time.Second

// Listens asks a node's monitoring port (http://host:port) once whether all configured listeners are
// open, and gives the reason why not. The connection is its own and leaves nothing behind.
func Listens(ctx context.Context, monitor string) error {
	_, err := asked(ctx, monitor+"/healthz?js-server-only=true")
	return err
}

// Version asks a node's monitoring port once which nats-server it is, as in 2.15.2.
func Version(ctx context.Context, monitor string) (string, error) {
	text, err := asked(ctx, monitor+"/varz")
	if err != nil {
		return "", err
	}
	var said struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(text, &said); err != nil || said.Version == "" {
		return "", errors.Join(fmt.Errorf("%s/varz tells no version", monitor), err)
	}
	return said.Version, nil
}

// asked gives the answer to one question.
func asked(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, listensWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		// The transport would let a connect outlive its request, for the minutes that nobody answers an address of
		// which the container is gone.
		DialContext: func(_ context.Context, network, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(text)))
	}
	return text, nil
}
