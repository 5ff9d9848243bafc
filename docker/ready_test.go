package docker

import (
	"testing"

	"github.com/lbtest/lbtest/topologies"
)

// BenchmarkReady is how long it takes from nothing, but for the image, until every node of a lab listens, its networks and
// its balancer's container among it:
//
//	LBTEST_LONG=1 go test ./docker -run '^$' -bench Ready -benchtime 3x
//
// On two cores it is to be below 4 s for the cluster of three, and below 10 s for the supercluster of six.
func BenchmarkReady(b *testing.B) {
	for _, name := range []string{"clients-behind-lb", "routes-behind-lb", "gateways-behind-lb"} {
		b.Run(name, func(b *testing.B) {
			rt := open(b)
			top, ok := topologies.Find(name)
			if !ok {
				b.Fatalf("there is no topology %s", name)
			}
			if err := rt.begin(b.Context()); err != nil { // the image
				b.Fatal(err)
			}
			for b.Loop() {
				p, err := rt.Run(b.Context(), topologies.Program{Mode: echoMode, Networks: top.Neighbours()})
				if err != nil {
					b.Fatal(err)
				}
				fronts := map[topologies.Front]string{}
				for _, f := range top.Frontends(top.Balanced[0], true) {
					fronts[topologies.Front{Link: top.Balanced[0], Name: f.Name}] = p.Name() + ":" + echoPort
				}
				d, err := rt.Start(b.Context(), topologies.Build{Topology: top, Behind: p, Fronts: fronts, JetStream: true})
				if err != nil {
					b.Fatal(err)
				}
				if err := d.Ready(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := d.Close(); err != nil {
					b.Error(err)
				}
				if err := p.Close(); err != nil {
					b.Error(err)
				}
				b.StartTimer()
			}
		})
	}
}
