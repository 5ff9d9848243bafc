package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/report"
)

func (p *program) reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report FILE [flags]",
		Short: "render a saved run again, in any format",
		Long: "report reads what --report json=FILE or --report html=FILE saved, - is stdin, and renders it again without running\n" +
			"anything: as text on stdout unless something else goes there.\n\n" +
			"It exits with 0 whatever the run found (see --fail-on), 2 on bad usage or a file that is no report, 3 if a report cannot be written.",
		Example: "  lbtest report report.json\n" +
			"  lbtest report report.json --report html=report.html --report markdown=summary.md\n" +
			"  lbtest report report.html --json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("report takes one file, as written by --report json=FILE; %d were given", len(args))
			}
			return nil
		},
	}
	var f outFlags
	outFlagsOf(cmd, &f, report.FailOnNever)
	completeOut(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error { return p.rerender(args[0], &f) }
	return cmd
}

// rerender reads a saved run and writes its reports.
func (p *program) rerender(path string, f *outFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	saved, err := p.saved(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	outputs, err := sinks(f)
	if err != nil {
		return err
	}
	if err := p.render(saved, f, outputs); err != nil {
		return failure{err}
	}
	if f.failOn == "" {
		return nil // how the run ended is told, and is no fault of its rendering
	}
	if code := saved.ExitCode(f.failOn); code != 0 {
		return ended{code}
	}
	return nil
}

// saved reads a report from a file or stdin.
func (p *program) saved(path string) (report.Report, error) {
	if path == stdout {
		return report.Read(os.Stdin)
	}
	file, err := os.Open(path)
	if err != nil {
		var missing *os.PathError
		if errors.As(err, &missing) {
			err = missing.Err // the path has been said
		}
		return report.Report{}, err
	}
	defer file.Close()
	return report.Read(file)
}
