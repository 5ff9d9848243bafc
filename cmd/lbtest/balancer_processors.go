package main

import (
	"os"
	goruntime "runtime"

	"github.com/lbtest/lbtest/proxies"
)

// processors is how many of them a balancer that is a process of its own does best with, 0 for as many as Go finds.
//
// A piece of bytes changes goroutines twice on its way past a toxic. With several processors each change may wake
// another thread, which costs more than what that then does. With one, on a machine of two, a request and its reply
// took a quarter less CPU and a tenth less time, and a message a tenth less CPU; new connections came a sixth slower.
// Without toxics there are no such changes, and nothing was gained. TLS is left alone: it computes, and has use for
// every processor.
func processors(p proxies.Profile) int {
	if p.Stages() && p.Value("tls") == "passthrough" {
		return 1
	}
	return 0
}

// setProcessors has the process use them. Who sets GOMAXPROCS knows better.
func setProcessors(p proxies.Profile) {
	if n := processors(p); n > 0 && os.Getenv("GOMAXPROCS") == "" {
		goruntime.GOMAXPROCS(n)
		return
	}
	goruntime.SetDefaultGOMAXPROCS()
}
