package embedded

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lbtest/lbtest/topologies"
)

func TestSpeed(t *testing.T) {
	if testing.Short() { t.Skip() }
	r := New(Options{})
	defer r.Close()
	for range 3 {
		start := time.Now()
		d, err := r.Start(patient(t), topologies.Build{Topology: behind(t), JetStream: true})
		if err != nil { t.Fatal(err) }
		fmt.Println("listen", time.Since(start))
		if err := d.Ready(patient(t)); err != nil { t.Fatal(err) }
		fmt.Println("ready", time.Since(start))
		var js topologies.Account
		for _, a := range d.Accounts() { if a.JetStream { js = a } }
		nc, err := nats.Connect(d.Nodes()[0].Addr(topologies.Clients), nats.UserInfo(js.User, js.Password))
		if err != nil { t.Fatal(err) }
		j, _ := jetstream.New(nc)
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			_, err := j.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
			cancel()
			if err == nil { break }
			fmt.Println(err, time.Since(start))
		}
		fmt.Println("stream", time.Since(start))
		nc.Close()
		if err := d.Close(); err != nil { t.Fatal(err) }
	}
}
