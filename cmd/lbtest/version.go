package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/report"
)

func (p *program) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the versions of lbtest and of what its verdicts depend on",
		Args:  noArguments,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		v := versions()
		if *asJSON {
			return p.json(v)
		}
		return p.table([][]string{
			{"lbtest", v.LBTest}, {"nats-server", v.NATSServer}, {"nats.go", v.NATSGo}, {"toxiproxy", v.Toxiproxy}, {"go", v.Go},
		})
	}
	return cmd
}

// versions are those that this program was built with; unknown where the build does not say.
func versions() report.Versions {
	const unsaid = "unknown"
	v := report.Versions{LBTest: unsaid, NATSServer: unsaid, NATSGo: unsaid, Toxiproxy: unsaid, Go: unsaid}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = strings.TrimPrefix(info.GoVersion, "go")
	v.LBTest = info.Main.Version
	if v.LBTest == "" || v.LBTest == "(devel)" {
		v.LBTest = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.LBTest = fmt.Sprintf("devel-%.7s", s.Value)
			}
		}
	}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		switch d.Path {
		case "github.com/nats-io/nats-server/v2":
			v.NATSServer = bare(d.Version)
		case "github.com/nats-io/nats.go":
			v.NATSGo = bare(d.Version)
		case "github.com/Shopify/toxiproxy/v2":
			v.Toxiproxy = bare(d.Version)
		}
	}
	return v
}

// bare is a module's version as its project writes it, without Go's v.
func bare(version string) string {
	if len(version) > 1 && version[0] == 'v' {
		return version[1:]
	}
	return version
}
