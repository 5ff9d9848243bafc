package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
	"github.com/lbtest/lbtest/cmd/internal/suite"
)

// runFlags is what the flags of a run say: the options of the plan, and what happens with its report.
type runFlags struct {
	suite.Options
	outFlags
	runtime   string
	keep      bool
	artifacts string // directory; empty: none
}

// outFlags is what happens with a report.
type outFlags struct {
	json    bool
	reports []string // FORMAT=PATH
	failOn  string   // empty: unsafe for one configuration, never for a sweep
	quiet   bool
	verbose bool
	plain   bool // no colour
}

// groupKey is the annotation that carries a flag's heading in the help.
const groupKey = "lbtest_group"

// group defines flags under one heading.
func group(cmd *cobra.Command, heading string, define func(fs *pflag.FlagSet)) {
	fs := pflag.NewFlagSet(heading, pflag.ContinueOnError)
	fs.SortFlags = false // the order of their definition is the order of importance
	define(fs)
	fs.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{groupKey: {heading}} })
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(fs)
}

// runFlagsOf defines the flags of a run on a command.
func runFlagsOf(cmd *cobra.Command) *runFlags {
	var f runFlags
	group(cmd, "What to test", func(fs *pflag.FlagSet) {
		fs.StringArrayVar(&f.Topologies, "topology", nil, "what crosses the balancer, by its `NAME`; repeatable (lbtest list topologies)")
		fs.StringArrayVar(&f.Profiles, "profile", nil, "a load balancer that exists, by its `NAME`, or a file of your own, as in ./my-lb.yaml; repeatable, "+
			"each is judged by itself (lbtest list profiles)")
		fs.StringArrayVar(&f.Set, "set", nil, "one `SETTING=VALUE` of the balancer; repeatable, all together make one balancer, on top of each profile; "+
			"commas do between several; without it and --profile the settings that matter are swept (lbtest list settings)")
		fs.StringVar(&f.Sweep, "sweep", "", "sweep these instead of the settings that matter, by the `NAME` of the question (lbtest list sweeps)")
		fs.StringArrayVar(&f.Nats, "nats", nil, "one `KEY=VALUE` of the nats-server configuration, dots in keys, as in cluster.ping_interval=8s; "+
			"repeatable; KEY=none takes away what the lab would set; NAME:KEY=VALUE addresses one cluster")
		fs.StringArrayVar(&f.Node, "node", nil, "one limit of every node, `KEY=VALUE`: memory=64MiB, cpus=0.5 (both with --runtime docker) or gomemlimit=48MiB; "+
			"repeatable; alone it asks what such nodes bear (lbtest list limits)")
		fs.StringArrayVar(&f.Client, "client", nil, "one `KEY=VALUE` of the clients, as in ping-interval=30s; repeatable")
		fs.StringVar(&f.Auth, "auth", "", "how clients log in, by its `NAME`: password, token, nkey, creds or mtls (default: password; mtls with tls.verify_and_map)")
		fs.IntVar(&f.Clients, "clients", 100, "how many client connections are expected at once, a number `N`: ports, caps and herds are judged for that many")
		fs.StringArrayVar(&f.Assert, "assert", nil, "judge only assertions whose names match a `PATTERN`, * allowed, as in 'jetstream/*'; repeatable; "+
			"without it those that speak of the settings (lbtest list assertions)")
	})
	group(cmd, "How to test", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.runtime, "runtime", runtimes[0].name, "what runs the nodes, by its `NAME` (lbtest list runtimes)")
		fs.StringVar(&f.NatsImage, "nats-image", "", "run the nodes from an `IMAGE` of any nats-server, as in nats:2.14, in the place of the one compiled in; with --runtime docker")
		fs.StringVar(&f.TimeScale, "time-scale", "auto", "divide idle timeouts and pings by a `FACTOR` of 1 or more; 1 is real time; "+
			"auto shortens what only waits; the report tells timers unscaled and losses as counted")
		fs.Int64Var(&f.Seed, "seed", 0, "where everything random starts, a number `N`; the same seed gives the same plan (default: drawn, and printed)")
		fs.IntVar(&f.Parallel, "parallel", 0, "run at most `N` labs side by side, one with JetStream counting as two (default: by the number of cores)")
		fs.DurationVar(&f.RunTimeout, "run-timeout", 0, "end the run after a `DURATION`, as in 90s or 5m; what did not run by then is errored (default: none)")
		fs.BoolVar(&f.keep, "keep", false, "keep the directories of the nodes: configurations, logs, stores (the stores of containers go with them)")
		fs.StringVar(&f.artifacts, "artifacts", "", "a `DIR` for what verdicts rest on: events.jsonl, all that was seen, where the ids of the evidence are found, and report.json")
		fs.BoolVar(&f.VerifyAdvice, "verify-advice", false, "apply each advice, run again, and say whether it helped")
	})
	outFlagsOf(cmd, &f.outFlags, "unsafe with --set or --profile, never for a sweep")
	return &f
}

// matrixFlags is what the flags of a matrix say: the options of the plan, and what happens with its report.
type matrixFlags struct {
	suite.MatrixOptions
	outFlags
	suite     string
	runtime   string
	keep      bool
	artifacts string // directory; empty: none
	list      bool   // the cells, instead of running them
}

// matrixFlagsOf defines the flags of a matrix on a command.
func matrixFlagsOf(cmd *cobra.Command) *matrixFlags {
	var f matrixFlags
	group(cmd, "What to test", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.suite, "suite", "", "a matrix that comes with lbtest, by its `NAME` (lbtest list suites)")
		fs.StringArrayVar(&f.Only, "only", nil, "only the cells whose names match a `PATTERN`, * allowed, as in 'routes-behind-lb/aws-*'; repeatable")
		fs.StringVar(&f.Shard, "shard", "", "only one part of the cells, as `I/N`: 1/3, 2/3 and 3/3 together are all, the same on every machine")
		fs.BoolVar(&f.list, "list", false, "list the cells and run nothing")
	})
	group(cmd, "What is expected", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.Baseline, "baseline", "", "hold the verdicts against those of a `FILE`; what differs, for better or worse, is a change")
		fs.BoolVar(&f.Write, "write-baseline", false, "write what is found into the file of --baseline, as what is expected from now on; cells that were not run keep their lines")
		fs.IntVar(&f.Retries, "retries", 0, "run again what is not as expected (without a baseline: what is unsafe), up to `N` times; "+
			"what then is as expected is flaky, keeps its worse verdict, and is no change")
	})
	group(cmd, "How to test", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.runtime, "runtime", runtimes[0].name, "what runs the nodes where the matrix does not say, by its `NAME` (lbtest list runtimes)")
		fs.StringVar(&f.NatsImage, "nats-image", "", "run the nodes of --runtime docker from an `IMAGE` of any nats-server, as in nats:2.14, in the place of the one compiled in")
		fs.Int64Var(&f.Seed, "seed", 0, "where everything random starts, a number `N`; the same seed gives the same plan (default: drawn, and printed)")
		fs.IntVar(&f.Parallel, "parallel", 0, "run at most `N` labs side by side, one with JetStream counting as two (default: by the number of cores)")
		fs.DurationVar(&f.RunTimeout, "run-timeout", 0, "end the run after a `DURATION`, as in 90s or 5m; cells without an answer by then are skipped (default: none)")
		fs.BoolVar(&f.keep, "keep", false, "keep the directories of the nodes: configurations, logs, stores (the stores of containers go with them)")
		fs.StringVar(&f.artifacts, "artifacts", "", "a `DIR` for what verdicts rest on: events.jsonl, all that was seen, where the ids of the evidence are found, and report.json")
	})
	outFlagsOf(cmd, &f.outFlags, "with a baseline any change, of which unsafe and risky leave out those that have nothing to do with such a verdict; without one never")
	return &f
}

// check refuses what contradicts itself or does not exist.
func (f *matrixFlags) check() error {
	if exist := namesOf(listRuntimes()); !slices.Contains(exist, f.runtime) {
		return fmt.Errorf("--runtime: %w", unknown("runtime", f.runtime, exist))
	}
	if f.NatsImage != "" && f.runtime != "docker" && !slices.Contains(f.Matrix.Runtimes(), "docker") {
		return fmt.Errorf("--nats-image %s: images are run in containers only, and no cell runs in one: add --runtime docker", f.NatsImage)
	}
	if f.Write && f.Baseline == "" {
		return errors.New("--write-baseline needs to know where: --baseline FILE")
	}
	return f.outFlags.check()
}

// objects is the mildest verdict that is objected to; "" is any change from a baseline.
func (f *matrixFlags) objects() string {
	if f.failOn == "" && (f.Baseline == "" || f.Write) {
		return report.FailOnNever // there is nothing to compare with, or it is to be what is found
	}
	return f.failOn
}

// outFlagsOf defines the flags about a report on a command.
func outFlagsOf(cmd *cobra.Command, f *outFlags, usually string) {
	group(cmd, "What comes out", func(fs *pflag.FlagSet) {
		fs.StringArrayVar(&f.reports, "report", nil, "write a report, as `FORMAT=PATH`, - is stdout; repeatable (lbtest list formats)")
		fs.BoolVar(&f.json, "json", false, "JSON on stdout instead of text: the same as --report json=-")
		fs.StringVar(&f.failOn, "fail-on", "", "exit with 1 from this `VERDICT` on: "+strings.Join(report.FailOn(), ", ")+
			" (default: "+usually+")")
		fs.BoolVar(&f.quiet, "quiet", false, "no progress")
		fs.BoolVar(&f.verbose, "verbose", false, "progress with notes; a report with what held, every number and the ids of the evidence")
		fs.BoolVar(&f.plain, "no-color", false, "no colour; a non-empty NO_COLOR in the environment says the same")
	})
}

// validateFlags is what the flags of a look at an endpoint say.
type validateFlags struct {
	assertions.Access
	outFlags
	deep        bool
	backend     bool // a stand-in is behind
	maxWait     time.Duration
	precision   string
	mode        string
	format      string
	artifacts   string // directory; empty: none
	given       func(flag string) bool
	environment []func() error // take from the environment what no flag says
}

// validateFlagsOf defines the flags of a look at an endpoint: those of the nats CLI, with its environment.
func validateFlagsOf(cmd *cobra.Command, getenv func(string) string) *validateFlags {
	f := validateFlags{given: func(flag string) bool { return cmd.Flags().Changed(flag) }}
	group(cmd, "Where, and as whom (as for the nats CLI)", func(fs *pflag.FlagSet) {
		fs.StringVarP(&f.Servers, "server", "s", "", "the address to look at, a `URL` or several with commas between ($NATS_URL)")
		fs.StringVar(&f.Context, "context", "", "a context of the nats CLI, by its `NAME` ($NATS_CONTEXT; with neither this nor a server, the selected one)")
		fs.StringVar(&f.User, "user", "", "user `NAME`; a token if there is no password ($NATS_USER)")
		fs.StringVar(&f.Password, "password", "", "the user's `PASSWORD` ($NATS_PASSWORD, which no list of processes shows)")
		fs.StringVar(&f.Token, "token", "", "a `TOKEN` ($NATS_TOKEN)")
		fs.StringVar(&f.Creds, "creds", "", "a credentials `FILE`, JWT and seed ($NATS_CREDS)")
		fs.StringVar(&f.Nkey, "nkey", "", "a `FILE` with an nkey's seed ($NATS_NKEY)")
		fs.StringVar(&f.JWT, "jwt", "", "a user's `JWT` ($NATS_JWT)")
		fs.StringVar(&f.Seed, "seed", "", "the `SEED` that goes with it ($NATS_SEED)")
		fs.StringVar(&f.Cert, "tlscert", "", "a client certificate, as a PEM `FILE` ($NATS_CERT)")
		fs.StringVar(&f.Key, "tlskey", "", "its key, as a PEM `FILE` ($NATS_KEY)")
		fs.StringVar(&f.CA, "tlsca", "", "the authority that certificates must come from, as a PEM `FILE` ($NATS_CA; default: the system's)")
		fs.BoolVar(&f.TLSFirst, "tlsfirst", false, "TLS before the server's first line")
		fs.DurationVar(&f.Timeout, "timeout", 5*time.Second, "wait a `DURATION` for a connection, and again for its greeting; "+
			"no more than "+assertions.Patience.String()+" count ($NATS_TIMEOUT)")
		fs.StringVar(&f.InboxPrefix, "inbox-prefix", "", "the `PREFIX` of inboxes, where the user may not use _INBOX")
		fs.StringVar(&f.Name, "connection-name", "", "what the connections call themselves, a `NAME` for those who look at the servers (default: lbtest validate)")
		fs.BoolVar(&f.NoContext, "no-context", false, "no context of the nats CLI, neither the selected one nor $NATS_CONTEXT")
		fs.StringVar(&f.SocksProxy, "socks-proxy", "", "only `none`, which does without the SOCKS proxy of a context: through one, its own limits would be measured ($NATS_SOCKS_PROXY)")
	})
	group(cmd, "How deep", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.Direct, "direct", "", "the `URL` of a server past the balancer, to compare with: throughput, and whose certificate clients see")
		fs.BoolVar(&f.deep, "deep", false, "measure the idle limit as well: connections are quiet, each for its own time, and are spoken to once")
		fs.BoolVar(&f.backend, "backend", false, "the same, where lbtest backend stands behind the balancer: it sends no PING that would hide a longer limit, and tells what it saw of the other end")
		fs.DurationVar(&f.maxWait, "max-wait", 10*time.Minute+30*time.Second, "no connection is quiet for longer than a `DURATION`; servers' own PINGs hide limits above two of their intervals, 4m by default")
		fs.StringVar(&f.precision, "precision", "2%", "how near to know the limit, a `SHARE` of it or a duration")
		fs.StringVar(&f.mode, "mode", assertions.ModeLadder, "`HOW` to look for it: ladder has some fifty connections quiet at once and takes little more than the limit, bisect has two and takes many times as long")
	})
	outFlagsOf(cmd, &f.outFlags, report.FailOnUnsafe)
	cmd.Flags().StringVar(&f.format, "format", "", "the report on stdout, by its `NAME`: text, json, nagios (one line, and the exit codes of a monitoring plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN), …")
	cmd.Flags().StringVar(&f.artifacts, "artifacts", "", "a `DIR` for what verdicts rest on: events.jsonl, all that was seen, where the ids of the evidence are found, and report.json; neither holds a credential")
	for _, name := range []string{"format", "artifacts"} {
		cmd.Flags().Lookup(name).Annotations = map[string][]string{groupKey: {"What comes out"}}
	}
	for name, variable := range map[string]string{"server": "NATS_URL", "context": "NATS_CONTEXT", "user": "NATS_USER", "password": "NATS_PASSWORD", "token": "NATS_TOKEN",
		"creds": "NATS_CREDS", "nkey": "NATS_NKEY", "jwt": "NATS_JWT", "seed": "NATS_SEED", "tlscert": "NATS_CERT", "tlskey": "NATS_KEY", "tlsca": "NATS_CA", "timeout": "NATS_TIMEOUT", "socks-proxy": "NATS_SOCKS_PROXY"} {
		f.environment = append(f.environment, func() error {
			if value := getenv(variable); value != "" && !cmd.Flags().Changed(name) && !(name == "context" && f.NoContext) {
				if err := cmd.Flags().Lookup(name).Value.Set(value); err != nil {
					return fmt.Errorf("$%s: want %s", variable, wanted(cmd.Flags().Lookup(name))) // without the value: it may be a secret
				}
			}
			return nil
		})
	}
	return &f
}

// depth is how the idle limit is to be measured, nil if it is not. Its errors are the user's.
func (f *validateFlags) depth(given func(string) bool) (*assertions.Depth, error) {
	if !f.deep && !f.backend {
		for _, name := range []string{"max-wait", "precision", "mode"} {
			if given(name) {
				return nil, fmt.Errorf("--%s is about the idle limit, which --deep or --backend measures: give one of them too", name)
			}
		}
		return nil, nil
	}
	precision, err := assertions.ParsePrecision(f.precision)
	if err != nil {
		return nil, err
	}
	d := &assertions.Depth{MaxWait: f.maxWait, Precision: precision, Mode: f.mode, StandIn: f.backend}
	return d, d.Check()
}

// backendFlags is what the flags of a stand-in backend say.
type backendFlags struct {
	listen  []string
	cert    string // path of a PEM file; empty: no TLS
	key     string
	first   bool // TLS before INFO
	quiet   bool
	verbose bool
}

// backendFlagsOf defines the flags of a stand-in backend on a command.
func backendFlagsOf(cmd *cobra.Command) *backendFlags {
	var f backendFlags
	group(cmd, "Where", func(fs *pflag.FlagSet) {
		fs.StringArrayVar(&f.listen, "listen", nil, "accept connections at an `ADDR`, host:port; port 0 is a free one; repeatable, each looks like a server of its own")
	})
	group(cmd, "TLS (as for nats-server)", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.cert, "tlscert", "", "speak TLS with this certificate, a PEM `FILE`: behind a balancer that passes TLS through, the one that its clients are to see")
		fs.StringVar(&f.key, "tlskey", "", "its key, as a PEM `FILE`")
		fs.BoolVar(&f.first, "tlsfirst", false, "TLS before the first line and not after it, as handshake_first of a nats-server: for balancers that encrypt towards their backends, and for validate --tlsfirst")
	})
	group(cmd, "What comes out", func(fs *pflag.FlagSet) {
		fs.BoolVar(&f.quiet, "quiet", false, "nothing on stderr but what goes wrong")
		fs.BoolVar(&f.verbose, "verbose", false, "a line for each connection that ends: where it came from, what it said first, how it ended")
	})
	return &f
}

// balancerFlags is what the flags of a balancer on its own say.
type balancerFlags struct {
	listen, to, monitor []string // [NAME=]ADDR, and lists of them
	share               bool
	profile             []string // at most one: a catalogue entry or the path of a file; none: direct
	set                 []string // SETTING=VALUE
	keepalive           string   // a duration or off
	seed                int64    // 0: one is drawn
	events              string   // jsonl=PATH; empty: none
	authority           string   // path; empty: nowhere
	api                 string   // host:port; empty: none
	quiet               bool
	verbose             bool
}

// balancerFlagsOf defines the flags of a balancer on its own on a command.
func balancerFlagsOf(cmd *cobra.Command) *balancerFlags {
	var f balancerFlags
	group(cmd, "From where to where", func(fs *pflag.FlagSet) {
		fs.StringArrayVar(&f.listen, "listen", nil, "accept connections at an address, as `[NAME=]ADDR`; port 0 is a free one; repeatable with names")
		fs.StringArrayVar(&f.to, "to", nil, "balance them over these, as `[NAME=]ADDR,ADDR`; the name is that of the --listen")
		fs.StringArrayVar(&f.monitor, "monitor", nil, "the HTTP monitoring of each backend, as `[NAME=]ADDR,ADDR` in the order of --to; for health-check=http")
		fs.BoolVar(&f.share, "share-port", false, "let other balancers that say so too listen at the same address, each a process with file descriptors of its own (Linux)")
	})
	group(cmd, "What it does", func(fs *pflag.FlagSet) {
		fs.StringArrayVar(&f.profile, "profile", nil, "be this balancer, by its `NAME` in the catalogue or as a YAML file, ./my-lb.yaml (lbtest list profiles)")
		fs.StringArrayVar(&f.set, "set", nil, "one `SETTING=VALUE` of the balancer, on top of the profile; repeatable (lbtest list settings)")
		fs.StringVar(&f.keepalive, "tcp-keepalive", "15s", "how often clients are taken to send TCP keepalive probes, a `DURATION` or off; "+
			"probes are not seen from here, so idle-keepalive=counts goes by it; 15s is Go's own")
		fs.Int64Var(&f.seed, "seed", 0, "where everything random starts, a number `N` (default: drawn; --verbose prints it)")
	})
	group(cmd, "What comes out", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.events, "events", "", "write every event as a line of JSON, as `jsonl=PATH`; - is stdout; a file is appended to")
		fs.StringVar(&f.api, "toxiproxy-api", "", "serve toxiproxy's own HTTP API for this balancer at an `ADDR`: its clients can put byte faults on live connections")
		fs.StringVar(&f.authority, "tls-authority", "", "where tls= makes the balancer end TLS, write the authority of its throw-away certificates to a `PATH`, as PEM")
		fs.BoolVar(&f.quiet, "quiet", false, "nothing on stderr but what goes wrong")
		fs.BoolVar(&f.verbose, "verbose", false, "every event on stderr, and the seed")
	})
	return &f
}

// check refuses a runtime, a sweep or an exit rule that does not exist. What the options mean is the plan's to judge.
func (f *runFlags) check() error {
	if exist := namesOf(listRuntimes()); !slices.Contains(exist, f.runtime) {
		return fmt.Errorf("--runtime: %w", unknown("runtime", f.runtime, exist))
	}
	if f.NatsImage != "" && f.runtime != "docker" {
		return fmt.Errorf("--nats-image %s: images are run in containers only, and the runtime is %s: add --runtime docker", f.NatsImage, f.runtime)
	}
	if exist := namesOf(listSweeps()); f.Sweep != "" && !slices.Contains(exist, f.Sweep) {
		return fmt.Errorf("--sweep: %w", unknown("sweep", f.Sweep, exist))
	}
	return f.outFlags.check()
}

// check refuses an exit rule that does not exist.
func (f *outFlags) check() error {
	if f.failOn != "" && !slices.Contains(report.FailOn(), f.failOn) {
		return fmt.Errorf("--fail-on: %w", unknown("verdict", f.failOn, report.FailOn()))
	}
	return nil
}

// jsonFlag defines --json on a command that lists something.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "JSON on stdout")
}

// flagHelp lists a command's flags by heading, wrapped to 100 columns.
func flagHelp(cmd *cobra.Command) string {
	const other = "Flags"
	var headings []string
	sets := map[string]*pflag.FlagSet{}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		heading := other
		if g := f.Annotations[groupKey]; len(g) > 0 {
			heading = g[0]
		}
		if sets[heading] == nil {
			sets[heading] = pflag.NewFlagSet(heading, pflag.ContinueOnError)
			sets[heading].SortFlags = false
			headings = append(headings, heading)
		}
		sets[heading].AddFlag(f)
	})
	var b strings.Builder
	for _, h := range headings {
		fmt.Fprintf(&b, "\n%s:\n%s", h, sets[h].FlagUsagesWrapped(100))
	}
	return b.String()
}

// flagError turns pflag's errors into what was given, what exists and what was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	var absent *pflag.NotExistError
	var without *pflag.ValueRequiredError
	var wrong *pflag.InvalidValueError
	switch {
	case errors.As(err, &absent):
		var names []string
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		given := "--" + absent.GetSpecifiedName()
		if shorts := absent.GetSpecifiedShortnames(); shorts != "" {
			given = "-" + shorts
		}
		for _, c := range cmd.Root().Commands() {
			if c.IsAvailableCommand() && c.Name() == absent.GetSpecifiedName() {
				return fmt.Errorf("unknown flag %q, did you mean the command %s? (%s)", given, c.CommandPath(), strings.Join(names, ", "))
			}
		}
		return unknown("flag", given, names)
	case errors.As(err, &without):
		value, usage := pflag.UnquoteUsage(without.GetFlag())
		return fmt.Errorf("--%s needs a value, --%s %s: %s", without.GetFlag().Name, without.GetFlag().Name, value, usage)
	case errors.As(err, &wrong):
		return fmt.Errorf("--%s %q: want %s", wrong.GetFlag().Name, wrong.GetValue(), wanted(wrong.GetFlag()))
	}
	return err
}

func wanted(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "a duration with its unit, as in 90s or 5m"
	case "int", "int64":
		return "a whole number"
	case "bool":
		return "true or false, or no value at all"
	}
	return "a " + f.Value.Type()
}
