package main

import (
	"github.com/lbtest/lbtest/cmd/internal/suite"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/kernel"
)

// engines are those there are beside the simulated one.
func engines() []suite.Engine {
	return []suite.Engine{{
		Name: kernel.Name, Assumed: kernel.Assumed, Refusal: kernel.Refusal, Resolution: kernel.Resolution,
		Needs: func(p proxies.Profile) ([]string, map[string]string) { return kernel.Capabilities(), kernel.Sysctls(p) },
		Listen: func(p proxies.Profile, fronts []proxies.Front, note func(proxies.Event)) (suite.Balancer, error) {
			b, err := kernel.Listen(p, fronts, note)
			if err != nil {
				return nil, err // a nil *kernel.Balancer would be a Balancer
			}
			return b, nil
		},
	}}
}
