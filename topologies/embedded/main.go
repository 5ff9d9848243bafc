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

// Lone is the mode (see topologies.ModeVariable) of a node that has no parent to hear or to tell, for
// runtimes that know by other means whether it listens, and end it by other means. Its argument is its
// configuration file.
const Lone = "__lone-nats-node"

// Main must be the first line of main and of each TestMain. In a process that was started as a node
// or as the cleaner it never returns; in every other it does nothing.
func Main() {
	if len(os.Args) < 2 || os.Getenv(guard) != os.Args[1] {
		return
	}
	switch os.Args[1] {
	case nodeWord:
		os.Exit(beNode(os.Args[2:]))
	case Lone:
		os.Exit(serve(os.Args[2:], silence{}))
	case cleanerWord:
		os.Exit(beCleaner(os.Stdin))
	}
}
