package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/topologies"
)

func (p *program) cleanupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cleanup",
		Short: "remove what runs left behind that did not end in order",
		Long: "cleanup removes what runs of lbtest left that were killed together with what cleans up after them, or ended with the\n" +
			"machine: nodes, their directories, containers and networks. Each carries the process that it belongs to; what that\n" +
			"process still uses is left alone, and so are directories that --keep kept. Images of other builds of lbtest go unless a\n" +
			"container is of one; this one's stays, which the next run needs.\n" +
			"A run does the same when it starts.\n\n" +
			"It exits with 0 if nothing is left, 3 if something could not be removed.",
		Example: "  lbtest cleanup\n  lbtest cleanup --json",
		Args:    noArguments,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.cleanup(cmd.Context(), *asJSON) }
	return cmd
}

// cleaned is what became of one runtime's remains.
type cleaned struct {
	Runtime string   `json:"runtime"`
	Removed []string `json:"removed"`
	Unseen  string   `json:"not_looked_at,omitempty"` // why its remains could not be looked for
}

// cleanup has every runtime remove what it finds of runs that are over.
func (p *program) cleanup(ctx context.Context, asJSON bool) error {
	var all []cleaned
	var trouble []error
	for _, r := range runtimes {
		rt := p.runtime(r.name, nodeOptions{}, slog.New(slog.DiscardHandler))
		done, err := tidy(ctx, rt)
		done.Runtime = r.name
		all = append(all, done)
		if err = errors.Join(err, rt.Close()); err != nil {
			trouble = append(trouble, fmt.Errorf("runtime %s: %w", r.name, err))
		}
	}
	if err := p.tell(all, asJSON); err != nil {
		return err
	}
	if err := errors.Join(trouble...); err != nil {
		return failure{err}
	}
	return nil
}

// tidy removes the remains of a runtime that can be used here.
func tidy(ctx context.Context, rt topologies.Runtime) (cleaned, error) {
	none := cleaned{Removed: []string{}}
	t, ok := rt.(topologies.Tidy)
	if !ok {
		return none, nil
	}
	if err := rt.Usable(ctx); err != nil {
		none.Unseen = err.Error()
		return none, nil
	}
	removed, err := t.Tidy()
	return cleaned{Removed: append([]string{}, removed...)}, err
}

func (p *program) tell(all []cleaned, asJSON bool) error {
	if asJSON {
		return p.json(all)
	}
	removed := 0
	for _, c := range all {
		for _, what := range c.Removed {
			fmt.Fprintf(p.out, "removed %s\n", what)
		}
		removed += len(c.Removed)
		if c.Unseen != "" {
			fmt.Fprintf(p.err, "lbtest: nothing of --runtime %s was looked for: %s\n", c.Runtime, c.Unseen)
		}
	}
	if removed == 0 {
		fmt.Fprintln(p.out, "nothing was left behind")
	}
	return nil
}
