package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
)

// fixed is a format that writes one sentence, or breaks off in the middle of it.
func fixed(text string, err error) report.Format {
	return report.Format{Name: "fixed", Write: func(w io.Writer, _ report.Report, _ report.Style) error {
		if _, werr := io.WriteString(w, text); werr != nil {
			return werr
		}
		return err
	}}
}

func TestAFileAppearsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r")
	if err := (sink{fixed("old", nil), path}).write(nil, reportOf(assertions.Safe), report.Style{}); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := (sink{fixed("ne", broken), path}).write(nil, reportOf(assertions.Safe), report.Style{}); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("the file holds %q, %v; want the old report", got, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left in the directory: %v", left)
	}
}

func TestALinkIsFollowedAndADeviceIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "r"), filepath.Join(dir, "link")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{link, os.DevNull} {
		if err := tryPath(to); err != nil {
			t.Errorf("%s: %v", to, err)
		}
		if err := (sink{fixed("new", nil), to}).write(nil, reportOf(assertions.Safe), report.Style{}); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	if got, _ := os.ReadFile(path); string(got) != "new" {
		t.Errorf("the file behind the link holds %q", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode()&os.ModeDevice == 0 {
		t.Errorf("%s is %v, %v", os.DevNull, info, err)
	}
}
