package suite

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/highwayhash"

	"github.com/lbtest/lbtest/assertions"
)

// forge changes the payload of a stream's first message in a store that nobody has open, and its checksum with it, so that
// the server that finds it there has nothing to complain of. The layout is that of nats-server's filestore.go:
//
//	total(4) sequence(8) time(8) subject length(2) subject payload checksum(8)
func forge(dir, stream string) error {
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "JS", "streams", stream, "msgs", "1.blk"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("finding the messages of %s in %s: %v, %v", stream, dir, files, err)
	}
	block, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	const header, checksum = 22, highwayhash.Size64
	total, subject := int(binary.LittleEndian.Uint32(block)), int(binary.LittleEndian.Uint16(block[20:]))
	if total != header+subject+1+checksum || block[header+subject] != '1' {
		return errors.New("the first message is not the number 1")
	}
	block[header+subject] = '9'
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, 1))
	hash, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return err
	}
	_, _ = hash.Write(block[4:20])
	_, _ = hash.Write(block[header : total-checksum])
	copy(block[total-checksum:total], hash.Sum(nil))
	return os.WriteFile(files[0], block, 0o600)
}

// TestAReplicaThatHoldsSomethingElseIsFound changes a message in one replica's store behind the servers' backs: all
// replicas have as many messages, and only who reads each of them finds out.
func TestAReplicaThatHoldsSomethingElseIsFound(t *testing.T) {
	a := judgedBy(t, "jetstream/no-acked-loss")
	// It takes no part in the event, which waits until it is done.
	h := watchedLab(t, routes, "stall=1s", &assertions.Observation{Name: "forger", Watch: func(ctx context.Context, target assertions.Target, rec *assertions.Recorder) error {
		if _, ok := rec.For(a.Observe).Await(ctx, 0, func(e assertions.Event) bool { return e.Kind == "acked" && e.Stream == "S1" && e.Seq >= 5 }); !ok {
			return errors.New("forging: nothing was acknowledged")
		}
		n := target.Nodes[2]
		if err := target.Control.Stop(n.Name); err != nil {
			return err
		}
		return errors.Join(forge(filepath.Dir(n.Log), "S1"), target.Control.Start(ctx, n.Name))
	}}, a)
	f := a.Judge(h.Of(a.Observe))[0]
	if want := "the replicas of 1 stream hold as much, but not the same (first n3 of S1)"; f.Verdict != assertions.Unsafe || !strings.HasPrefix(f.Got, want) {
		t.Errorf("got %s: %s; want unsafe: %s…", f.Verdict, f.Got, want)
	}
}
