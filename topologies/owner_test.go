package topologies

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestOnlyAnOwnerThatIsKnownToHaveEndedIsGone(t *testing.T) {
	if Ours().Gone() {
		t.Error("this process is gone")
	}
	if runtime.GOOS != "linux" {
		t.Skip("births and places are known on Linux")
	}
	fields := strings.SplitN(string(Ours()), " ", 3)
	_, space, _ := strings.Cut(fields[2], "/")
	boot, _, _ := strings.Cut(fields[2], "/")
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		owner string
		want  bool
	}{
		{"nobody", "", false},
		{"no process", "x y z", false},
		{"one that has ended", strconv.Itoa(ended.Process.Pid) + " 1 " + fields[2], true},
		{"another with the same number", fields[0] + " 1 " + fields[2], true},
		{"one of another namespace", fields[0] + " 1 " + boot + "/pid:[1]", false},
		{"one of before the machine was started again", fields[0] + " 1 elsewhen/" + space, true},
	} {
		if got := Owner(c.owner).Gone(); got != c.want {
			t.Errorf("%s: gone %v, want %v", c.name, got, c.want)
		}
	}
}

func TestDirectoriesOfTheLivingAndKeptOnesAreNotAbandoned(t *testing.T) {
	in := t.TempDir()
	for name, owner := range map[string]string{"x-kept": "", "x-ours": string(Ours()), "x-left": "1 0 elsewhen/pid:[1]", "y-left": "1 0 elsewhen/pid:[1]"} {
		dir := filepath.Join(in, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if owner == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, ownerFile), []byte(owner), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(in, "x-left"), filepath.Join(in, "x-link")); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(in, "x-left")}
	if runtime.GOOS != "linux" {
		want = nil // no machine of another place is told apart there
	}
	if got, err := Abandoned(in, "x-"); err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}
