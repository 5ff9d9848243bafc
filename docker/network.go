package docker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"github.com/lbtest/lbtest/topologies"
)

// Networks get addresses of their own choice: the engine's own pools end after some thirty networks. The
// range is the one set aside for tests of network equipment (RFC 2544), which nobody's network uses; where
// something else does all the same, the routes to these small subnets are the more specific ones.
var space = netip.MustParsePrefix("198.18.0.0/15")

// subnetBits makes room for as many nodes as a topology has, should they share a network, and for its balancers.
const subnetBits = 28

// subnet is a network's addresses: the host's first, then what the engine gives out by itself from the
// bottom up, and those that are chosen from the middle up.
type subnet struct{ netip.Prefix }

// choose gives the n-th subnet of the space, counted round.
func choose(n uint32) subnet {
	base := space.Addr().As4()
	n %= 1 << (subnetBits - space.Bits())
	var at [4]byte
	binary.BigEndian.PutUint32(at[:], binary.BigEndian.Uint32(base[:])+n<<(32-subnetBits))
	return subnet{netip.PrefixFrom(netip.AddrFrom4(at), subnetBits)}
}

// host is this machine's address on the network.
func (s subnet) host() netip.Addr { return s.at(1) }

// chosen are the addresses that containers can be given.
const chosen = 1<<(32-subnetBits-1) - 1

// container is the address of the i-th container that is given one.
func (s subnet) container(i int) (netip.Addr, error) {
	if i < 0 || i >= chosen {
		return netip.Addr{}, fmt.Errorf("a network has room for %d containers, not for number %d", chosen, i+1)
	}
	return s.at(chosen + 1 + i), nil
}

func (s subnet) at(i int) netip.Addr {
	a := s.Addr().As4()
	a[3] += byte(i) // never beyond it: a subnet has 16 addresses and begins at a multiple of that
	return netip.AddrFrom4(a)
}

// link is a network that leads nowhere but to this machine.
type link struct {
	name string
	subnet
	remove func(context.Context) error
}

// tries is how many subnets are tried before it is the engine that is refusing. With a hundred labs one in
// twenty subnets is taken.
const tries = 8

// newLink makes a network of its own.
func (r *runtime) newLink(ctx context.Context) (*link, error) {
	var errs []error
	for range tries {
		s := choose(rand.Uint32())
		made, err := tcnetwork.New(ctx, tcnetwork.WithInternal(), tcnetwork.WithLabels(r.labels()),
			tcnetwork.WithIPAM(&network.IPAM{Config: []network.IPAMConfig{{Subnet: s.Prefix, Gateway: s.host()}}}))
		if err == nil {
			return &link{name: made.Name, subnet: s, remove: func(ctx context.Context) error {
				_, err := r.engine.NetworkRemove(ctx, made.ID, client.NetworkRemoveOptions{})
				return err
			}}, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("making a network: %w", errs[len(errs)-1])
}

// newLinks makes networks side by side. Those it made are given back with an error as well.
func (r *runtime) newLinks(ctx context.Context, n int) ([]*link, error) {
	made, errs := make([]*link, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { made[i], errs[i] = r.newLink(ctx) })
	}
	all.Wait()
	return made, errors.Join(errs...)
}

// removeLinks removes networks that have no container any more.
func removeLinks(links []*link) error {
	ctx, cancel := context.WithTimeout(context.Background(), engineLimit)
	defer cancel()
	errs := make([]error, len(links))
	var all sync.WaitGroup
	for i, l := range links {
		if l != nil {
			all.Go(func() {
				if err := l.remove(ctx); err != nil {
					errs[i] = fmt.Errorf("removing network %s: %w", l.Prefix, err)
				}
			})
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// engineLimit is how long the engine may take for what takes it a fraction of a second when it is not busy.
const engineLimit = time.Minute

// labels mark what belongs to this run.
func (r *runtime) labels() map[string]string {
	labels := testcontainers.GenericLabels()
	labels[runLabel] = r.run
	labels[ownerLabel] = string(topologies.Ours())
	return labels
}

const (
	// runLabel is the label whose value is the run that something belongs to, ownerLabel that of the process whose run that is.
	runLabel   = "lbtest.run"
	ownerLabel = "lbtest.owner"
)
