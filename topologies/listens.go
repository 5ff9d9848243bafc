package topologies

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// listensWithin is how long a node may take to say whether it listens: an answer takes about a
// millisecond, and a paused node gives none.
const listensWithin = time.Second

// Listens asks a node's monitoring port (http://host:port) once whether all configured listeners are
// open, and gives the reason why not. The connection is its own and leaves nothing behind.
func Listens(ctx context.Context, monitor string) error {
	ctx, cancel := context.WithTimeout(ctx, listensWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, monitor+"/healthz?js-server-only=true", nil)
	if err != nil {
		return err
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
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(text)))
	}
	return nil
}
