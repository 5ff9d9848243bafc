package suite

import (
	"flag"
	"os"
	"testing"

	"github.com/lbtest/lbtest/topologies/embedded"
)

func TestMain(m *testing.M) {
	embedded.Main()
	Main()
	// Looks at real endpoints wait more than they work, for three seconds at a time; six of them were late on a busy machine.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
