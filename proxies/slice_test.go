package proxies

import (
	"bytes"
	"net"
	"testing"
	"time"
)

func TestSlicesArriveInSmallReads(t *testing.T) {
	const length = 64 << 10
	sent := make([]byte, length)
	for i := range sent {
		sent[i] = byte(i % 251)
	}
	l := start(t, with(t, "slice=1000"))
	client, server := l.connect()
	for _, way := range []struct {
		name     string
		from, to net.Conn
	}{{"up", client, server}, {"down", server, client}} {
		go way.from.Write(sent)
		var got []byte
		reads, buf := 0, make([]byte, length)
		way.to.SetReadDeadline(time.Now().Add(patience))
		for len(got) < length {
			n, err := way.to.Read(buf)
			if err != nil {
				t.Fatalf("%s: %v after %d bytes", way.name, err, len(got))
			}
			got = append(got, buf[:n]...)
			reads++
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%s: the bytes are not those sent", way.name)
		}
		// 66 pieces at least; a busy machine lets a reader find several at once. Unsliced, 64 KB are 1 to 3 reads.
		if reads < 10 {
			t.Errorf("%s: %d bytes arrived in %d reads", way.name, length, reads)
		}
	}
	if got := l.event(KindApplied); got.Why != slice || got.What != "in pieces of at most 1KB" {
		t.Errorf("got %s %q", got.Why, got.What)
	}
}
