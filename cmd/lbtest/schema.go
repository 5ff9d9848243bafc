package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/report"
)

func (p *program) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print the JSON schema of the report (" + report.SchemaName + ")",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if _, err := p.out.Write(report.Schema()); err != nil {
				return failure{fmt.Errorf("writing the schema: %w", err)}
			}
			return nil
		},
	}
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument, %q was given", cmd.CommandPath(), args[0])
	}
	return nil
}
