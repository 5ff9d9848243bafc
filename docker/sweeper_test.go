package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
	fmt.Println(rt.run, rt.dir)
	select {}
}

func TestAKilledProgramLeavesNothing(t *testing.T) {
	open(t) // or skip; and builds the image
	victim := exec.Command("/proc/self/exe")
	victim.Args = []string{os.Args[0], victimMode}
	victim.Env = append(os.Environ(), topologies.ModeVariable+"="+victimMode)
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the victim said nothing: %v, %v", err, victim.Wait())
	}
	run, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
	if left := labelled(t, run); len(left) != 4 { // two containers, two networks
		t.Errorf("the victim has %v", left)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	victim.Wait()
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		left := labelled(t, run)
		_, err := os.Stat(dir)
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
