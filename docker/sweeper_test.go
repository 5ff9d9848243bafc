package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lbtest/lbtest/topologies"
)

// beVictim starts what a lab has, a paused node and a paused program included, and waits to be killed.
func beVictim() int {
	ctx := context.Background()
	rt := newTestRuntime()
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, errors.Join(err, rt.Close()))
		return 1
	}
	p, err := rt.Run(ctx, topologies.Program{Mode: echoMode, Networks: [][]string{{"n1"}}})
	if err != nil {
		return fail(err)
	}
	d, err := rt.Start(ctx, topologies.Build{Topology: cluster("n1"), Behind: p})
	if err != nil {
		return fail(err)
	}
	if err := errors.Join(d.Nodes()[0].Pause(), p.Pause()); err != nil {
		return fail(err)
	}
	fmt.Println(rt.run, rt.dir, rt.sweeper.cmd.Process.Pid)
	select {}
}

// victim is a program that was started to be killed.
type victim struct {
	cmd      *exec.Cmd
	run, dir string
	sweeper  int // its process
}

func startVictim(t *testing.T) victim {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{os.Args[0], victimMode}
	cmd.Env = append(os.Environ(), topologies.ModeVariable+"="+victimMode)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := victim{cmd: cmd}
	line, err := bufio.NewReader(out).ReadString('\n')
	if n, _ := fmt.Sscan(line, &v.run, &v.dir, &v.sweeper); n != 3 {
		t.Fatalf("the victim said %q: %v, %v", line, err, cmd.Wait())
	}
	if left := labelled(t, v.run); len(left) != 5 { // two containers, the image's, two networks
		t.Errorf("the victim has %v", left)
	}
	if _, err := os.Stat(v.dir); err != nil {
		t.Error(err)
	}
	return v
}

// kill ends the victim, and returns once it is gone.
func (v victim) kill(t *testing.T) {
	t.Helper()
	if err := v.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	v.cmd.Wait()
}

func TestAKilledProgramLeavesNothing(t *testing.T) {
	open(t) // or skip; and builds the image
	v := startVictim(t)
	v.kill(t)
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		left := labelled(t, v.run)
		_, err := os.Stat(v.dir)
		if len(left) == 0 && errors.Is(err, os.ErrNotExist) {
			t.Logf("all gone after %s", time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("a minute later there are %v and the directory (%v)", left, err)
		}
		<-tick.C
	}
}

// TestWhatIsLeftWithoutASweeperIsFoundLater kills both, as somebody does who clears a machine of processes.
func TestWhatIsLeftWithoutASweeperIsFoundLater(t *testing.T) {
	rt := open(t)
	live := start(t, rt, "n1")
	defer closed(t, live)
	v := startVictim(t)
	if err := syscall.Kill(v.sweeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	v.kill(t)
	if left := labelled(t, v.run); len(left) != 5 {
		t.Fatalf("somebody else swept: there are %v", left)
	}
	removed, err := newTestRuntime().Tidy()
	if err != nil || len(removed) < 6 || !slices.Contains(removed, "directory "+v.dir) {
		t.Errorf("removed %v, %v; want two containers, the image's, two networks and %s", removed, err, v.dir)
	}
	if left := labelled(t, v.run); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(v.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", v.dir, err)
	}
	if left := labelled(t, rt.run); len(left) != 4 { // a container, the image's, two networks
		t.Errorf("a run that goes on has %v", left)
	}
}

func TestASweepGoesOnUntilNothingComesUpAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		// What was under way comes up a second later, and the engine refuses once.
		err := sweepUp(t.Context(), func() (int, error) {
			switch since := time.Since(began); {
			case since == 0:
				return 3, nil
			case since == time.Second:
				return 1, nil
			case since == 1250*time.Millisecond:
				return 0, errors.New("busy")
			}
			return 0, nil
		})
		if took := time.Since(began); err != nil || took != 1250*time.Millisecond+quietFor {
			t.Errorf("swept for %s: %v", took, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := sweepUp(ctx, func() (int, error) { return 1, errors.New("stuck") }); err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Errorf("got %v", err)
		}
	})
}

func TestASweeperKnowsWhatItIsStartedWith(t *testing.T) {
	for _, args := range [][]string{nil, {"", ""}, {"run"}} {
		if err := beSweeper(args, strings.NewReader("")); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	if err := beSweeper([]string{"run", ""}, strings.NewReader(dismissed)); err != nil {
		t.Errorf("dismissed: %v", err)
	}
}
