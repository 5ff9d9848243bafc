package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/profiles"
)

func (p *program) balancerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "balancer --listen ADDR --to ADDR,ADDR [flags]",
		Short: "run one simulated load balancer, before anything",
		Long: "balancer runs one simulated load balancer on its own: before NATS, a database, a web server.\n" +
			"Once it forwards it says so on stderr, with its address. It runs until a signal ends it:\n\n" +
			"  SIGTERM, SIGINT  every connection ends by FIN; exit 0 (a second one: at once, exit 130)\n" +
			"  SIGHUP           reads the settings and the profile again; live connections stay as they are\n" +
			"  SIGUSR1          performs the events among the settings (stall, outage, restart), each once\n\n" +
			"--events writes one JSON object a line for each thing that happens. Its fields, left out where empty:\n" +
			eventFields + "\n" +
			"It exits with 2 on bad usage or an address that cannot be had, 3 if lbtest itself failed.",
		Example: "  lbtest balancer --listen 127.0.0.1:4222 --to 10.0.0.1:4222,10.0.0.2:4222 --set idle-timeout=60s\n" +
			"  lbtest balancer --listen :5432 --to db:5432 --set idle-timeout=350s --set idle-expiry=rst-on-next --verbose\n" +
			"  lbtest balancer --listen 127.0.0.1:0 --to 127.0.0.1:8080 --set stall=5s --events jsonl=-   then kill -USR1\n" +
			"  lbtest balancer --listen nats=:4222 --to nats=n1:4222,n2:4222 --listen ws=:8080 --to ws=n1:8080,n2:8080",
		Args: noArguments,
	}
	f := balancerFlagsOf(cmd)
	completeBalancer(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.balance(cmd.Context(), f) }
	return cmd
}

// cannotAlone are settings that say something about NATS's nodes or about who balances, and why a balancer
// that stands alone cannot honour them.
var cannotAlone = map[string]string{
	"frontends":  "the frontends are those that --listen names",
	"node-fault": "the backends are no nodes of its own, so it can neither kill nor pause one",
	"bypass":     "what backends advertise is for their own configuration to say",
	"engine":     "here the balancer is always the simulated one",
	"drain":      "nobody takes a backend of its out of rotation by hand; one that health checks find down is for on-down",
}

// balancerProfile puts the flags into a profile, the same each time unless a file has changed meanwhile.
func (f *balancerFlags) balancerProfile() (proxies.Profile, error) {
	profile := proxies.Direct()
	if len(f.profile) > 1 {
		return profile, fmt.Errorf("--profile is given twice (%s): a balancer on its own is one; lbtest run judges several", strings.Join(f.profile, ", "))
	}
	if len(f.profile) == 1 {
		var err error
		if profile, err = profiles.Load(f.profile[0]); err != nil {
			return profile, fmt.Errorf("--profile: %w", err)
		}
	}
	given := map[string]string{}
	var set []string
	for _, list := range f.set {
		set = append(set, proxies.Pairs(list)...)
	}
	for _, pair := range set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || value == "" {
			return profile, fmt.Errorf("--set %q: want SETTING=VALUE, for example --set idle-timeout=60s", pair)
		}
		if was, twice := given[name]; twice {
			return profile, fmt.Errorf("--set %s is given twice (%s and %s)", name, was, value)
		}
		if why, no := cannotAlone[name]; no {
			return profile, fmt.Errorf("--set %s: not for a balancer on its own: %s", pair, why)
		}
		given[name] = value
		var err error
		if profile, err = profile.With(name, value); err != nil {
			return profile, fmt.Errorf("--set: %w", err)
		}
	}
	if err := profile.Check(); err != nil {
		return profile, err
	}
	if value, ok := given["on-down"]; ok && value != "keep" && profile.Value("health-check") == "off" {
		return profile, fmt.Errorf("on-down=%s has no effect without a health check: add one, such as health-check=connect", value)
	}
	profile.Seed = f.seed
	return profile, nil
}

// changed lists what a profile sets, for the reader.
func changed(p proxies.Profile) string {
	var parts []string
	if p.Name != proxies.Direct().Name {
		parts = append(parts, "profile "+p.Name)
	}
	for _, s := range p.Stated() {
		parts = append(parts, s.Setting+"="+s.Value)
	}
	if len(parts) == 0 {
		return "it only forwards"
	}
	return strings.Join(parts, ", ")
}

// doubts says what a profile leaves open, what its vendor would not take, and what of it cannot be had here.
func doubts(p proxies.Profile) []string {
	var all []string
	for _, d := range p.Unverified {
		all = append(all, fmt.Sprintf("unverified: %s (here %s): %s", d.Setting, p.Value(d.Setting), d.Assumed))
	}
	for _, s := range proxies.Settings() {
		if beyond := p.Beyond(s.Name); beyond != "" {
			all = append(all, beyond)
		}
		if why, no := cannotAlone[s.Name]; no && p.Value(s.Name) != s.Default {
			all = append(all, fmt.Sprintf("%s=%s has no effect here: %s", s.Name, p.Value(s.Name), why))
		}
	}
	return all
}

// balance runs one balancer until a signal or the context ends it. Nothing was forwarded when it returns an
// error of the user's.
func (p *program) balance(ctx context.Context, f *balancerFlags) (err error) {
	fronts, backends, err := f.addresses()
	if err != nil {
		return err
	}
	if f.seed == 0 {
		f.seed = 1 + rand.Int64N(1<<53-1) // what a JSON number holds exactly
	}
	profile, err := f.balancerProfile()
	if err != nil {
		return err
	}
	if err := monitored(profile, backends); err != nil {
		return err
	}
	if f.authority != "" && !slices.Contains([]string{"terminate", "re-encrypt", "re-encrypt-mtls"}, profile.Value("tls")) {
		return errors.New("--tls-authority: this balancer ends no TLS and has no certificates; add --set tls=terminate or --set tls=re-encrypt")
	}
	api, err := openAPI(f.api)
	if err != nil {
		return err
	}
	defer api.close()
	signals := signalled()
	defer signals.stop()
	log := &lines{out: p.err, quiet: f.quiet}
	told, err := p.tellings(f, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, told.close()) }()

	b, err := proxies.Listen(profile, fronts, told.listener())
	if err != nil {
		return err // an address that cannot be had is the user's to change
	}
	defer func() {
		if closing := b.Close(); closing != nil {
			err = errors.Join(err, failure{fmt.Errorf("ending the balancer: %w", closing)})
		}
	}()
	if f.authority != "" {
		if err := os.WriteFile(f.authority, b.Authority(), 0o644); err != nil {
			return fmt.Errorf("--tls-authority: %w", err)
		}
	}
	defer setProcessors(proxies.Direct()) // for whoever goes on
	setProcessors(profile)
	if err := b.Serve(backends); err != nil {
		return failure{err}
	}
	for _, front := range fronts {
		name := ""
		if front.Name != onlyFront {
			name = front.Name + "="
		}
		n, plural := len(backends[front.Name]), "s"
		if n == 1 {
			plural = ""
		}
		log.say("balancing %s%s over %d backend%s (%s)", name, b.Addr(front.Name), n, plural, changed(profile))
	}
	if err := api.serve(b, log); err != nil {
		return failure{err}
	}
	defer api.close() // before the balancer it is about
	for _, note := range doubts(profile) {
		log.say("%s", note)
	}
	if f.verbose {
		log.say("seed %d", f.seed)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var working sync.WaitGroup
	working.Go(func() { f.obey(ctx, signals.orders, b, profile, backends, log) })
	defer working.Wait()
	select {
	case s := <-signals.ends:
		go func() { // before anything that a reader who has stopped could hold up
			if _, again := <-signals.ends; again {
				p.exit(exitInterrupted)
			}
		}()
		log.say("%s: ending all connections (once more: stop at once)", nameOf(s))
	case <-ctx.Done():
	}
	cancel()
	return nil
}

// obey does what signals ask a running balancer for, one after another.
func (f *balancerFlags) obey(ctx context.Context, orders <-chan os.Signal, b *proxies.Balancer, now proxies.Profile,
	backends map[string][]proxies.Backend, log *lines) {
	for {
		var s os.Signal
		select {
		case <-ctx.Done():
			return
		case s = <-orders:
		}
		switch {
		case s == syscall.SIGHUP:
			next, err := f.balancerProfile()
			if err == nil {
				err = monitored(next, backends)
			}
			if err == nil {
				err = b.Reload(next)
			}
			if err != nil {
				log.complain("reloading: %v; the balancer stays as it was (%s)", err, changed(now))
				continue
			}
			now = next
			setProcessors(now)
			log.say("reloaded: new connections meet (%s)", changed(now))
			for _, note := range doubts(now) {
				log.say("%s", note)
			}
		case !now.Strikes():
			log.complain("%s: there is no event to perform; one is asked for by a setting such as stall=5s, outage=5s or restart=crash", nameOf(s))
		default:
			log.say("%s: the event begins (%s)", nameOf(s), changed(now))
			if err := b.Strike(ctx); err != nil {
				if ctx.Err() == nil {
					log.complain("performing the event: %v", err)
				}
				continue
			}
			log.say("the event is over")
		}
	}
}

// monitored refuses health checks that ask where nothing was said to answer.
func monitored(profile proxies.Profile, backends map[string][]proxies.Backend) error {
	if profile.Value("health-check") != "http" {
		return nil
	}
	for name, behind := range backends {
		for _, b := range behind {
			if b.Monitor == "" {
				return fmt.Errorf("health-check=http asks the backends' monitoring ports: add --monitor with one address for each of %s's", name)
			}
		}
	}
	return nil
}

// signalsHeard are the signals that a running balancer listens to.
type signalsHeard struct {
	ends   chan os.Signal // closed by stop
	orders chan os.Signal
	unread chan os.Signal
}

// signalled listens from now on, so that none is lost between the ready line and the first wait.
func signalled() signalsHeard {
	s := signalsHeard{
		ends:   make(chan os.Signal, 2), // two matter
		orders: make(chan os.Signal, 8), // those that come while an event is under way
		unread: make(chan os.Signal, 1), // never looked at: that somebody listens keeps writes to a closed pipe harmless
	}
	signal.Notify(s.ends, os.Interrupt, syscall.SIGTERM)
	signal.Notify(s.orders, syscall.SIGHUP, syscall.SIGUSR1)
	signal.Notify(s.unread, syscall.SIGPIPE)
	return s
}

func (s signalsHeard) stop() {
	for _, c := range []chan os.Signal{s.ends, s.orders, s.unread} {
		signal.Stop(c)
	}
	close(s.ends)
}

// nameOf is a signal as people type it.
func nameOf(s os.Signal) string {
	for name, known := range map[string]os.Signal{"SIGINT": os.Interrupt, "SIGTERM": syscall.SIGTERM, "SIGUSR1": syscall.SIGUSR1} {
		if s == known {
			return name
		}
	}
	return s.String()
}

// lines is where a balancer speaks: whole lines, from any goroutine.
type lines struct {
	mu    sync.Mutex
	out   io.Writer
	quiet bool
}

// say tells what goes as it should, unless quietness was asked for.
func (l *lines) say(format string, args ...any) {
	if !l.quiet {
		l.complain(format, args...)
	}
}

// complain tells what does not.
func (l *lines) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "lbtest: "+format+"\n", args...)
}
