package embedded

import (
	"os"

	"github.com/lbtest/lbtest/topologies"
)

// A process becomes a node or the cleaner if its first argument says so and its environment says the same.
const (
	nodeWord    = "__nats-node"
	cleanerWord = "__cleaner"
	guard       = topologies.ModeVariable
)

// Main must be the first line of main and of each TestMain. In a process that was started as a node
// or as the cleaner it never returns; in every other it does nothing.
func Main() {
	if len(os.Args) < 2 || os.Getenv(guard) != os.Args[1] {
		return
	}
	switch os.Args[1] {
	case nodeWord:
		os.Exit(beNode(os.Args[2:]))
	case cleanerWord:
		os.Exit(beCleaner(os.Stdin))
	}
}
