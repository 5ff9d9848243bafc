package suite

import (
	"os"
	"testing"

	"github.com/lbtest/lbtest/topologies/embedded"
)

func TestMain(m *testing.M) {
	embedded.Main()
	Main()
	os.Exit(m.Run())
}
