package assertions

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// DeepChecks lists what is judged where the idle limit was measured. They are firm: connections that the tester was late
// for are set aside one by one, and what has no answer without them is not told.
func DeepChecks() []Check {
	return []Check{
		{"client/stays-connected-when-quiet", "A client that has nothing to say stays connected.", true, quietAt},
		{"client/notices-silence", "No client stays dead unnoticed.", true, silenceAt},
	}
}

// linger is the longest silence of a link between healthy ends that nobody tuned, and who ends it.
type linger struct {
	link    string
	silence time.Duration
	why     string
	grace   int // intervals without an answer until the link is given up
}

// lingers are NATS's defaults: of nats.go, and of nats-server 2.15, which caps what routes and gateways wait.
func lingers() []linger {
	const serverPing, routeCap, gatewayCap = 2 * time.Minute, 30 * time.Second, 15 * time.Second
	return []linger{
		{"clients", nats.DefaultPingInterval, "nats.go's PING", nats.DefaultMaxPingOut + 1},
		{"leaf nodes", serverPing, "the leaf node's PING", 3},
		{"routes", routeCap, "the server's PING, capped", 3},
		{"gateways", gatewayCap, "the server's PING, capped", 3},
	}
}

// goProbes is how often a Go client's socket sends TCP keepalive probes (net.Dialer).
const goProbes = 15 * time.Second

// ended says the limit in words.
func (i Idle) ended() string {
	span := "after " + exact(i.High)
	if exact(i.Low) != exact(i.High) {
		span = fmt.Sprintf("between %s and %s", exact(i.Low), exact(i.High))
	}
	return span + " of silence, " + manners[i.Manner]
}

// manners are the ways in which idle connections end, in words.
var manners = map[string]string{
	endFIN:     "by FIN",
	endRST:     "by RST",
	endNextRST: "without a word, and by RST when somebody speaks",
	endNextFIN: "without a word, and by FIN when somebody speaks",
	endSilent:  "without a word, then or later",
}

// exact prints a measured time: to a hundredth below a minute, to a tenth of a second above.
func exact(d time.Duration) string {
	if d < time.Minute {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// unknown says why there is no answer about idle connections, or "".
func (i Idle) unknown(h History) []Finding {
	refused := h.Kind(Client, "unrested")
	switch {
	case len(h.Kind(Client, "greeted")) == 0:
		return skip(nobodyIn)
	case i.Died:
		return unseen("busy connections ended together with quiet ones: the endpoint went away meanwhile (a restart, a reload, another way), which is no idle limit")
	case i.chance():
		return unseen(fmt.Sprintf("%s ended after %s of silence, and others outlived %s: that may have been anything; measure again", plural(i.Ended, "connection"), exact(i.High), exact(i.Watched)))
	case i.unsure():
		return unseen(i.doubtful())
	case i.Survived+i.Ended == 0 && len(refused) > 0:
		return unseen("no quiet connection came about: " + refused[0].Why)
	case i.Survived+i.Ended == 0:
		return unseen("no connection was quiet to an end")
	}
	return nil
}

// ample is a limit that leaves a client's PING its margin: a tenth.
const ample = nats.DefaultPingInterval * 11 / 10

// unsure reports whether connections that the tester was late for might have said something else than the others, which
// those that were made in their place have not said again.
func (i Idle) unsure() bool {
	near := i.Precision.at(i.Low)
	switch {
	case i.Doubtful == 0:
		return false
	case i.Doubted > 0 && i.Doubted < i.Low-near:
		return true
	case !i.Met():
		return i.Doubted > 0 || i.Low < ample && i.Missed > i.Low+near
	}
	// A wide answer is one all the same, unless the boundary lies within.
	return i.High-i.Low > i.Precision.at(i.High) && i.Low < ample && i.High > nats.DefaultPingInterval
}

// doubtful says why there is no answer, or no nearer one.
func (i Idle) doubtful() string {
	return fmt.Sprintf("this machine was too busy to tell: it was up to %s late itself at the beginning or the end of %s; measure again", spoken(i.Late), plural(i.Doubtful, "quiet connection"))
}

// quietAt judges clients as nats.go makes them: a PING each two minutes, and Go's TCP keepalive.
func quietAt(h History) []Finding {
	i := IdleOf(h)
	measured := i.measured()
	if i.Lifetime > 0 {
		return []Finding{{Verdict: Unsafe, Measured: measured, Evidence: sample(h.Kind(Client, "control-lost")),
			Got:    fmt.Sprintf("connections end at an age of %s, busy ones as well", exact(i.Lifetime)),
			Advice: []Advice{{Target: "load-balancer", Text: "no maximum connection lifetime towards clients", Set: map[string]string{"max-lifetime": "none"}}}}}
	}
	if f := i.unknown(h); f != nil {
		return f
	}
	const usual = nats.DefaultPingInterval
	evidence := h.Filter(func(e Event) bool { return e.Silence != nil && e.Silence.End != endAlive && e.Silence.End != endPinged })
	advice := quietClientAdvice(Terms{Factor: 1, Idle: i.Low, ClientPing: usual, ServerPing: usual, Links: []string{"clients"}, Settings: map[string]string{"idle-timeout": ""}})
	f := Finding{Measured: measured, Evidence: sample(evidence)}
	switch {
	case i.Met() && i.Low <= usual && i.Keepalive == "counts" && i.Low > goProbes:
		f.Verdict, f.Advice = Risky, advice
		f.Got = fmt.Sprintf("a quiet connection ends %s; Go's TCP keepalive, a probe each %s, keeps it, and clients in other languages may send none", i.ended(), spoken(goProbes))
	case i.Met() && i.Low <= usual:
		f.Verdict, f.Advice = Unsafe, advice
		f.Got = fmt.Sprintf("a quiet connection ends %s; a client's PING comes each %s", i.ended(), spoken(usual))
	case i.Met() && i.Low < ample:
		f.Verdict, f.Advice = Risky, advice
		f.Got = fmt.Sprintf("a quiet connection ends %s, hardly above the %s between a client's PINGs", i.ended(), spoken(usual))
	case i.Met():
		return held(fmt.Sprintf("a quiet connection ends %s; a client's PING comes each %s, %s before", i.ended(), spoken(usual), exact(i.Low-usual)), measured...)
	case i.Low >= ample:
		return held(fmt.Sprintf("%s survived %s of silence; a client's PING comes each %s", plural(i.Survived, "quiet connection"), exact(i.Low), spoken(usual)), measured...)
	case i.spokenFor():
		return held(fmt.Sprintf("at least %s: the server itself speaks after that much silence, which quiet connections survived", exact(i.Low)), measured...)
	case i.Hidden > 0:
		return skip(i.beyond())
	default:
		return skip(fmt.Sprintf("quiet connections survived %s of silence, and a client's PING comes each %s: --max-wait %s and more tells", exact(i.Low), spoken(usual), spoken(ample)))
	}
	return []Finding{f}
}

// spokenFor reports whether servers break every silence themselves before it is longer than what was survived.
func (i Idle) spokenFor() bool {
	return i.Hidden > 0 && !i.Mute && i.Reach-i.Low <= i.Precision.at(i.Reach)
}

// beyond says what is not known where a server's own PINGs hid the limit.
func (i Idle) beyond() string {
	text := fmt.Sprintf("at least %s: then a server's own PINGs break the silence, and hide what is above", exact(i.Low))
	if i.Mute {
		text += "; not each server was heard to PING"
	} else if i.Reach > i.Low {
		text += fmt.Sprintf("; a last word at a worse time makes it %s", exact(i.Reach))
	}
	return text + ". lbtest backend in the servers' place shows it"
}

// silenceAt judges how a client learns that it has been cut.
func silenceAt(h History) []Finding {
	i := IdleOf(h)
	if f := i.unknown(h); f != nil {
		return f
	}
	client := lingers()[0]
	notice := time.Duration(client.grace) * client.silence
	switch {
	case !i.Met() && (i.Low >= ample || i.spokenFor()):
		return held(fmt.Sprintf("no connection ended without a word in %s of silence", exact(i.Low)), i.measured()...)
	case !i.Met() && i.Hidden > 0:
		return skip(i.beyond())
	case !i.Met():
		return skip(fmt.Sprintf("no connection ended without a word in %s of silence, and a client's PING comes each %s: --max-wait %s and more tells", exact(i.Low), spoken(client.silence), spoken(ample)))
	case i.Manner == endFIN || i.Manner == endRST:
		return skip("this balancer says by " + strings.ToUpper(i.Manner) + " that it ends a connection")
	case i.Low > client.silence:
		return held(fmt.Sprintf("a quiet connection ends %s, which a client's PING each %s does not let happen", i.ended(), spoken(client.silence)), i.measured()...)
	case i.Keepalive == "counts" && i.Low > goProbes:
		return held(fmt.Sprintf("a quiet connection ends %s, which a TCP keepalive probe each %s does not let happen", i.ended(), spoken(goProbes)), i.measured()...)
	}
	f := Finding{Verdict: Unsafe, Measured: append(i.measured(), seconds("client_knows_after", notice))}
	f.Got = fmt.Sprintf("a quiet connection ends %s: a client learns of it when it speaks, and what it says is lost; who only listens hears nothing for up to %s", i.ended(), spoken(client.silence))
	if i.Manner == endSilent {
		f.Got = fmt.Sprintf("a quiet connection ends %s: a client knows after up to %s, the %d PINGs that may stay unanswered, and what it says meanwhile is lost", i.ended(), spoken(notice), nats.DefaultMaxPingOut)
	}
	f.Advice = []Advice{{Target: "load-balancer", Text: "a reset for what is forgotten, so that clients know at once", Set: map[string]string{"idle-expiry": "rst"}}}
	return []Finding{f}
}

// measured are the numbers behind every answer about idle connections.
func (i Idle) measured() []Measure {
	all := []Measure{count("quiet_connections", i.Survived+i.Ended, "connections")}
	if i.Met() {
		all = append(all, seconds("idle_limit_min", i.Low), seconds("idle_limit_max", i.High))
	} else {
		all = append(all, seconds("idle_limit_min", i.Low))
	}
	if i.Lifetime > 0 {
		all = append(all, seconds("lifetime", i.Lifetime))
	}
	return all
}
