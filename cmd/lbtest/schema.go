package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
	"github.com/lbtest/lbtest/proxies/profiles"
)

func (p *program) schemaCommand() *cobra.Command {
	schemas := map[string]func() []byte{"report": report.Schema, "profile": profiles.Schema, "matrix": suite.MatrixSchema}
	names := []string{"report", "profile", "matrix"}
	return &cobra.Command{
		Use:   "schema [report|profile|matrix]",
		Short: "print the JSON schema of the report (" + report.SchemaName + "), or of a profile or a matrix in YAML",
		Example: "  lbtest schema > report.schema.json\n" +
			"  lbtest schema profile > profile.schema.json    then, on top of my-lb.yaml: # yaml-language-server: $schema=profile.schema.json",
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return fmt.Errorf("schema takes one of %s, %q was given", strings.Join(names, ", "), strings.Join(args, " "))
			case len(args) == 1 && schemas[args[0]] == nil:
				return unknown("schema", args[0], names)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			name := "report"
			if len(args) == 1 {
				name = args[0]
			}
			if _, err := p.out.Write(schemas[name]()); err != nil {
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
