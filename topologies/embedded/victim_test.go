package embedded

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lbtest/lbtest/topologies"
)

// victimVariable makes this test program bring up a cluster, pause a node, say so and wait to be killed.
const victimVariable = "LBTEST_VICTIM"

func beVictim() {
	top, _ := topologies.Find("routes-behind-lb")
	r := New(Options{})
	d, err := r.Start(context.Background(), topologies.Build{Topology: top, JetStream: true})
	if err == nil {
		err = d.Nodes()[1].Pause()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("directory %s\n", d.(*deployment).dir)
	for _, n := range d.(*deployment).nodes {
		fmt.Printf("process %d\n", n.process.cmd.Process.Pid)
	}
	fmt.Printf("process %d\n", r.(*runtime).cleaner.cmd.Process.Pid)
	fmt.Println("up")
	select {}
}

// Five seconds is what users are promised, after the end of a program that could not clean up. Tests often have less of a
// machine than users, so that later is said and is no failure, as long as it is not for ever.
func TestNothingOutlivesAKilledProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real servers")
	}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		temporary := t.TempDir()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		victim := exec.Command(self)
		victim.Env = append(os.Environ(), victimVariable+"=1", "TMPDIR="+temporary)
		out, err := victim.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		var pids []int
		up := false
		for lines := bufio.NewScanner(out); !up && lines.Scan(); {
			var pid int
			if _, err := fmt.Sscanf(lines.Text(), "process %d", &pid); err == nil {
				pids = append(pids, pid)
			}
			up = lines.Text() == "up"
			if !up && pid == 0 && !strings.HasPrefix(lines.Text(), "directory ") {
				t.Errorf("the victim says: %s", lines.Text())
			}
		}
		if !up || len(pids) != 4 {
			victim.Process.Kill()
			victim.Wait()
			t.Fatalf("the victim did not come up; processes %v", pids)
		}
		for _, pid := range pids {
			if !topologies.Alive(pid) {
				t.Errorf("process %d has ended before the victim", pid)
			}
		}
		if len(list(t, temporary)) == 0 {
			t.Error("the victim has no directory where the test looks for it")
		}

		if err := victim.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		victim.Wait()
		ended := time.Now()
		left := func() (what []string) {
			for _, pid := range pids {
				if topologies.Alive(pid) {
					what = append(what, fmt.Sprintf("process %d", pid))
				}
			}
			return append(what, list(t, temporary)...)
		}
		if err := until(30*time.Second, func() bool { return len(left()) == 0 }); err != nil {
			t.Errorf("after %v there is still %v: %v", signal, left(), err)
		}
		took := time.Since(ended).Round(time.Millisecond)
		t.Logf("after %v nothing was left within %v", signal, took)
		if took > 5*time.Second {
			t.Log("that is later than promised")
		}
	}
}

// What the kernel does on Linux the cleaner does elsewhere, and for what the kernel misses.
func TestTheCleanerKillsAndRemoves(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	temporary := t.TempDir()
	ours, others := temporary+"/"+prefix+"x", temporary+"/other"
	for _, dir := range []string{ours, ours + "/n1", others} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sleeper := func() (*exec.Cmd, chan struct{}) {
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		go func() {
			cmd.Wait()
			close(gone)
		}()
		return cmd, gone
	}
	left, leftGone := sleeper()
	ended, endedGone := sleeper()
	other, otherGone := sleeper()
	if err := left.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	orders := fmt.Sprintf("dir %s\ndir %s\nnode %d %s\nnode %d %s\nunnode %d\nnode %d another birth\n",
		ours, others, left.Process.Pid, topologies.Birth(left.Process.Pid), ended.Process.Pid, topologies.Birth(ended.Process.Pid), ended.Process.Pid, other.Process.Pid)
	if err := readOrders(strings.NewReader(orders)).clean(); err != nil {
		t.Fatal(err)
	}
	<-leftGone
	if got := list(t, temporary); len(got) != 1 || got[0] != "other" {
		t.Errorf("the directories that are left are %v, want the other one", got)
	}
	if !topologies.Alive(ended.Process.Pid) {
		t.Error("a process was killed that the cleaner had been told is gone")
	}
	if topologies.Birth(other.Process.Pid) != "unknown" && !topologies.Alive(other.Process.Pid) {
		t.Error("a process was killed that only has a node's number")
	}
	ended.Process.Kill()
	other.Process.Kill()
	<-endedGone
	<-otherGone
}
