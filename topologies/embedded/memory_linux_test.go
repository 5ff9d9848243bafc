package embedded

import (
	"os"
	"testing"
)

func TestNodesLiveInMemoryUnlessTheUserNamesAnotherPlace(t *testing.T) {
	t.Setenv("TMPDIR", "")
	if _, err := os.Stat(memory); err == nil && temporary() != memory {
		t.Errorf("%s is there, and nodes would live in %s", memory, temporary())
	}
	named := t.TempDir()
	t.Setenv("TMPDIR", named)
	if got := temporary(); got != named {
		t.Errorf("TMPDIR=%s, and nodes would live in %s", named, got)
	}
}
