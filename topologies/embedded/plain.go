package embedded

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// nodeProgram gives the program that nodes run: this one. Under the race detector a server is several
// times slower, which looks like a bad load balancer; a plain program is built then, once a process.
func nodeProgram(log *slog.Logger) (string, error) {
	if !raceDetector {
		return self(), nil
	}
	program, err := plain()
	if err != nil {
		log.Warn("nodes run with the race detector and are slow", "because", err)
		return self(), nil
	}
	return program, nil
}

// plain builds this package's own test program without the race detector: its TestMain calls Main. A
// cleaner of its own removes it when this process ends, however it ends.
var plain = sync.OnceValues(func() (string, error) {
	c, err := startCleaner()
	if err != nil {
		return "", err
	}
	plainCleaner = c
	dir, err := newDir(c)
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "node")
	build := exec.Command("go", "test", "-c", "-race=false", "-cover=false", "-ldflags=-s -w", "-o", program, "github.com/lbtest/lbtest/topologies/embedded")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building a node program without the race detector: %w\n%s", err, out)
	}
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("building a node program without the race detector: %w", err)
	}
	return program, nil
})

// plainCleaner is kept because its pipe would end with it.
//
//lint:ignore U1000 nobody needs to read it
var plainCleaner *cleaner
