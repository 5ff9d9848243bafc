package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/report"
)

// EndpointOptions are what the command line of `validate` says.
type EndpointOptions struct {
	Access   assertions.Access
	Deep     *assertions.Depth // how the idle limit is measured; nil: it is not
	Command  []string          // for the report; credentials are taken out of it here
	Versions report.Versions   // of the parts this program was built from
	Events   io.Writer         // where all that was seen is written, as JSON lines; nil: nowhere
}

// EndpointPlan is a look at a real address. Nothing has been dialled.
//
//	EndpointOptions ─► NewEndpointPlan ─► Looking ─► History ─► Judge ─► report.Report
type EndpointPlan struct {
	options  EndpointOptions
	endpoint *assertions.Endpoint
	name     string
	seen     func(assertions.History) // a test looks at what was measured; nil otherwise
}

// NewEndpointPlan reads the flags, the context and the files they name. Its errors are the user's.
func NewEndpointPlan(o EndpointOptions) (EndpointPlan, error) {
	e, err := o.Access.Open()
	if err != nil {
		return EndpointPlan{}, err
	}
	if o.Deep != nil {
		if err := o.Deep.Check(); err != nil {
			return EndpointPlan{}, err
		}
	}
	var named []string
	for _, u := range e.Target.URLs {
		named = append(named, strings.TrimPrefix(u, "nats://"))
	}
	return EndpointPlan{options: o, endpoint: e, name: "endpoint/" + strings.Join(named, ",")}, nil
}

// Sweep reports that this asks about one balancer.
func (EndpointPlan) Sweep() bool { return false }

// Scenarios names what will be looked at.
func (p EndpointPlan) Scenarios() []string { return []string{p.name} }

// lookingTakes is the most that a look may take: the contract has less than 15 s, and a report is to be written.
const lookingTakes = 14 * time.Second

// Run looks at the endpoint and reports what was seen, whatever happens.
func (p EndpointPlan) Run(ctx context.Context, say func(Progress)) report.Report {
	if say == nil {
		say = func(Progress) {}
	}
	began := time.Now()
	say(Progress{Kind: "plan", Text: "1 endpoint, less than 15s" + p.foretold(), Total: 1})
	say(Progress{Kind: "started", Scenario: p.name, Total: 1, Running: 1})
	note := func(text string) { say(Progress{At: time.Since(began), Kind: "note", Text: text}) }
	limited, cancel := context.WithTimeout(ctx, lookingTakes)
	defer cancel()
	rec := p.look(limited)
	v := p.judge(p.history(rec), began)
	if !settled(v.results) && time.Since(began) < lookingTakes/3 && limited.Err() == nil {
		if late, _ := assertions.Starved(p.history(rec)); late > assertions.Unpunctual {
			note("this machine was too busy to tell; looking again")
			rec = p.look(limited)
		}
	}
	unfinished := limited.Err() != nil
	p.measure(ctx, rec, func(text string) {
		say(Progress{At: time.Since(began), Kind: "plan", Text: text, Total: 1, Running: 1})
	})
	h := p.history(rec)
	v = p.judge(h, began)
	if unfinished || ctx.Err() != nil {
		v.err = cmp.Or(context.Cause(ctx), fmt.Errorf("not everything was looked at within %s", lookingTakes))
	}
	if p.seen != nil {
		p.seen(h)
	}
	made := p.report(v, h, began, errors.Is(ctx.Err(), context.Canceled))
	p.keep(h, began, v.err)
	done := Progress{At: time.Since(began), Kind: "finished", Scenario: p.name, Verdict: v.worst(), Done: 1, Total: 1}
	if because := v.because(); len(because) > 0 {
		done.Text = because[0]
	}
	say(done)
	return made
}

// foretold says how long measuring the idle limit takes, before it begins.
func (p EndpointPlan) foretold() string {
	if p.options.Deep == nil {
		return ""
	}
	told, silent := p.options.Deep.Takes()
	return fmt.Sprintf("; then idle connections for up to %s, or %s if they end without a word; less where a limit shows sooner (Ctrl-C reports what is known by then)",
		told.Round(time.Second), silent.Round(time.Second))
}

// measure finds the idle limit, if that was asked for and somebody was let in.
func (p EndpointPlan) measure(ctx context.Context, rec *assertions.Recorder, say func(string)) {
	if p.options.Deep == nil || ctx.Err() != nil || !rec.SawAny(func(e assertions.Event) bool { return e.Kind == "greeted" }) {
		return
	}
	if standIns, others := assertions.StandsIn(p.history(rec)); p.options.Deep.StandIn && (others || !standIns) {
		say("no stand-in answered, or not alone: idle limits are measured as before servers, whose own PINGs hide the longer ones")
		p.options.Deep.StandIn = false
	}
	p.endpoint.Lulling(ctx, *p.options.Deep, rec, say)
}

// keep writes down what the verdicts rest on, as a lab's is, without what lets somebody in.
func (p EndpointPlan) keep(h assertions.History, began time.Time, failed error) {
	if p.options.Events == nil {
		return
	}
	head := labLine{Lab: p.name, Topology: "endpoint", Link: "clients", Proves: map[string]string{}, Started: began.UTC().Round(time.Millisecond), Factor: 1}
	for _, c := range p.checks() {
		head.Judged = append(head.Judged, c.Name)
	}
	if failed != nil {
		head.Error = failed.Error()
	}
	redact(h.Events, p.endpoint.Secrets())
	b := book{to: p.options.Events}
	b.write(head, h.Events)
}

func (p EndpointPlan) history(rec *assertions.Recorder) assertions.History {
	return rec.History(p.endpoint.Target.Terms)
}

// look looks once.
func (p EndpointPlan) look(ctx context.Context) *assertions.Recorder {
	rec := assertions.NewRecorder()
	p.endpoint.Looking(ctx, rec)
	return rec
}

// checks are those that what was asked for allows to judge.
func (p EndpointPlan) checks() []assertions.Check {
	if p.options.Deep == nil {
		return assertions.Checks()
	}
	return slices.Concat(assertions.Checks(), assertions.DeepChecks())
}

// judge lets every check read what was seen.
func (p EndpointPlan) judge(h assertions.History, began time.Time) verdict {
	v := verdict{scenario: scenario{name: p.name}}
	took := time.Since(began)
	look := assertions.LookOf(h)
	for _, c := range p.checks() {
		for _, f := range c.Judge(h) {
			late, may := f.Late(look)
			switch {
			case f.Unseen:
				f = errored("%s", f.Got)
			case may && !c.Firm && (f.Verdict == assertions.Risky || f.Verdict == assertions.Unsafe):
				f = errored("this machine was too busy to tell: it was up to %s late itself (then seen: %s)", late.Round(time.Millisecond), f.Got)
			}
			// Nothing was done to anybody, so there is no fault that would have to be proved first.
			v.results = append(v.results, result{assertion: assertions.Assertion{Name: c.Name, Promise: c.Promise}, finding: f, proved: true, took: took, factor: 1})
		}
	}
	for _, u := range assertions.LabOnly(p.checks()) {
		v.scenario.left = append(v.scenario.left, left{assertions.Assertion{Name: u.Name, Promise: u.Promise}, u.Why})
	}
	return v
}

func (p EndpointPlan) report(v verdict, h assertions.History, began time.Time, interrupted bool) report.Report {
	o := p.options
	head := report.Run{ID: runID(began, 0), Command: spared(o.Command), Started: began, Took: report.Seconds(time.Since(began)), Runtime: report.RuntimeEndpoint,
		TimeScale: 1, Versions: o.Versions, Interrupted: interrupted}
	head.Versions.NATSServer = "unknown" // the one this program was built with has no part in it
	for _, e := range h.Events {
		if e.Info != nil {
			head.Versions.NATSServer = e.Info.Version
		}
	}
	s := report.Scenario{Name: p.name, Topology: "endpoint", Verdict: v.worst(), TimeScale: 1, Because: v.because(), Reproduce: p.reproduce(), Reason: v.reason()}
	for _, f := range p.facts(h) {
		s.Facts = append(s.Facts, report.Fact{Name: f.Name, Value: f.Value})
	}
	for _, a := range v.advice() {
		s.Advice = append(s.Advice, report.Advice{Target: a.Target, Text: a.Text})
	}
	return report.New(head, []report.Scenario{s}, v.rows())
}

// reproduce is the command that looks again. Credentials are left to the environment, where the nats CLI has them.
func (p EndpointPlan) reproduce() string {
	a := p.options.Access
	words := []string{"lbtest validate"}
	if a.Context == "" || a.Servers != "" {
		words = append(words, "-s "+quote(strings.Join(p.endpoint.Target.URLs, ",")))
	}
	for _, f := range []struct{ flag, value string }{{"--context", a.Context}, {"--creds", a.Creds}, {"--nkey", a.Nkey}, {"--tlscert", a.Cert}, {"--tlskey", a.Key},
		{"--tlsca", a.CA}, {"--inbox-prefix", a.InboxPrefix}, {"--connection-name", a.Name}, {"--socks-proxy", a.SocksProxy}, {"--direct", sparedURLs(a.Direct)}} {
		if f.value != "" {
			words = append(words, f.flag+" "+quote(f.value))
		}
	}
	if a.NoContext {
		words = append(words, "--no-context")
	}
	if a.TLSFirst {
		words = append(words, "--tlsfirst")
	}
	words = append(words, p.deeply()...)
	switch {
	case a.Token != "" || a.User != "" && a.Password == "":
		words = append(words, `--token "$NATS_TOKEN"`)
	case a.JWT != "":
		words = append(words, `--jwt "$NATS_JWT" --seed "$NATS_SEED"`)
	case a.User != "" || strings.Contains(a.Servers, "@"):
		words = append(words, `--user "$NATS_USER" --password "$NATS_PASSWORD"`)
	}
	return strings.Join(words, " ")
}

// facts are what was found out, what it looks like, and how to have it in a lab.
func (p EndpointPlan) facts(h assertions.History) []assertions.Fact {
	facts := assertions.Facts(h)
	if p.options.Deep != nil {
		facts = append(facts, assertions.DeepFacts(h)...)
	}
	for _, f := range []assertions.Fact{{Name: "looks most like", Value: likeness(h)}, {Name: "in the lab", Value: reproduction(h)}} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	return facts
}

// deeply are the flags that measure the idle limit.
func (p EndpointPlan) deeply() []string {
	d := p.options.Deep
	if d == nil {
		return nil
	}
	words := []string{"--deep"}
	if d.StandIn {
		words = []string{"--backend"}
	}
	return append(words, "--max-wait "+d.MaxWait.String(), "--precision "+d.Precision.String(), "--mode "+d.Mode)
}

// quote makes a word safe to paste into a shell.
func quote(word string) string {
	if strings.ContainsAny(word, " \t\n\"'*?[]{}$&|;<>()\\`#~") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// secret are the flags whose values are not repeated. A user without a password is a token.
var secret = []string{"--user", "--password", "--token", "--jwt", "--seed"}

// spared is a command without credentials: those of flags and those in URLs.
func spared(command []string) []string {
	const masked = "***"
	var said []string
	hide := false
	for _, arg := range command {
		flag, value, joined := strings.Cut(arg, "=")
		switch {
		case hide:
			arg, hide = masked, false
		case joined && slices.Contains(secret, flag):
			arg = flag + "=" + masked
		case slices.Contains(secret, arg):
			hide = true
		case joined && strings.HasPrefix(flag, "-"):
			arg = flag + "=" + sparedURLs(value)
		default:
			arg = sparedURLs(arg)
		}
		said = append(said, arg)
	}
	return said
}

// sparedURLs takes what stands before an @ out of one URL or several. It need not be a good URL: the flag may
// have been refused for it.
func sparedURLs(text string) string {
	parts := strings.Split(text, ",")
	for i, part := range parts {
		at := strings.LastIndexByte(part, '@')
		if at < 0 {
			continue
		}
		scheme := ""
		if name, _, ok := strings.Cut(part[:at], "://"); ok {
			scheme = name + "://"
		}
		parts[i] = scheme + part[at+1:]
	}
	return strings.Join(parts, ",")
}
