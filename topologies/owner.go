package topologies

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Owner is the process that something belongs to which can outlive it, as text to be written beside it.
type Owner string

// Ours names this process.
func Ours() Owner {
	pid := os.Getpid()
	return Owner(fmt.Sprintf("%d %s %s", pid, Birth(pid), place()))
}

// Gone says whether the process is known to have ended. Of one in another namespace of process ids nothing is known
// from here, and neither is of an owner that nobody wrote down.
func (o Owner) Gone() bool {
	fields := strings.SplitN(string(o), " ", 3)
	if len(fields) != 3 {
		return false
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil || pid <= 0 {
		return false
	}
	here, there := place(), fields[2]
	if here == "" || there == "" {
		return false
	}
	if here == there {
		return !Alive(pid) || Birth(pid) != fields[1]
	}
	boot, _, _ := strings.Cut(here, "/")
	booted, _, ok := strings.Cut(there, "/")
	return ok && boot != booted // nothing outlives its kernel
}

// ownerFile is where a directory's owner is written down.
const ownerFile = ".owner"

// Own says of a directory that it belongs to this process, and is to go when that is gone.
func Own(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, ownerFile), []byte(Ours()), 0o600); err != nil {
		return fmt.Errorf("writing down whose directory %s is: %w", dir, err)
	}
	return nil
}

// Abandoned gives the directories in another whose names begin so and whose owners are gone. One that nobody owns is kept
// for somebody to look at, and is not among them.
func Abandoned(in, prefix string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(in, prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("looking for directories left behind: %w", err)
	}
	var all []string
	for _, dir := range found {
		about, err := os.Lstat(dir)
		if err != nil || !about.IsDir() {
			continue
		}
		if of, ok := about.Sys().(*syscall.Stat_t); !ok || int(of.Uid) != os.Getuid() {
			continue // what somebody else has written there is not to be believed
		}
		owner, err := os.ReadFile(filepath.Join(dir, ownerFile))
		if err == nil && Owner(owner).Gone() {
			all = append(all, dir)
		}
	}
	return all, nil
}

// Tidy is what a Runtime is besides if it can find what runs of its kind have left behind that did not end in order.
type Tidy interface {
	// Tidy removes that and says what it was, one phrase for each thing. It leaves alone what may belong to a run that goes on.
	Tidy() (removed []string, err error)
}
