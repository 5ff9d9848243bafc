//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// setSysctls gives this network namespace what it does not have yet. Where /proc/sys is read-only, as in a container,
// whoever made the namespace has to have done it.
func setSysctls(wanted map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		file := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
		is, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(is)) == wanted[name] {
			continue
		}
		if err == nil {
			err = os.WriteFile(file, []byte(wanted[name]), 0)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("setting %s=%s (it is %q): %w", name, wanted[name], strings.TrimSpace(string(is)), err))
		}
	}
	return errors.Join(errs...)
}
