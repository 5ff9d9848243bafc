package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "ports/full-is-clear",
		Promise: "A client that finds the balancer full is told so at once.",
		Explain: "A balancer without a free port or place can end the connection (end of file or reset, which a NATS client reports within milliseconds), or leave it waiting: " +
			"in a listen queue, or by dropping the SYN. Then the client learns nothing until its own timeout (nats.go: 2 s), says `nats: timeout` or `i/o timeout`, which is what a dead network looks like too, and loses that time at each try. " +
			"As many clients as --clients says connect; those that fail with a word are told clearly, those that wait for more than half a second and then connect were held up, those that hear nothing at all were left hanging. " +
			"Where all find room there is nothing to be told.",
		Speaks:  ofRoom,
		Links:   []string{"clients"},
		Observe: herding,
		Judge:   judgeFullIsClear,
		Hostile: []string{"max-connections=80"},
	})
}

func judgeFullIsClear(h History) []Finding {
	t, usual, said := turnoutOf(h), turnoutOf(h.control()), roomless(h)
	all, prompt := t.tried, usual.slowest+tolerance
	var hung []Event
	for _, e := range t.failed {
		if e.Took > prompt {
			hung = append(hung, e)
		}
	}
	measured := []Measure{count("clients", all, "clients"), count("clients_turned_away", len(t.failed)-len(hung), "clients"), count("clients_left_hanging", len(hung), "clients")}
	switch {
	case t.unseen() != "":
		return unseen(t.unseen())
	case len(hung) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s heard nothing until they gave up after %s: %s%s", len(hung), plural(all, "client"), spoken(tookAtMost(hung)), mostly(hung), because(said, hung)),
			Measured: measured, Advice: clearAdvice(h.Terms), Evidence: append(sample(hung), sample(said)...), Firm: len(said) >= len(hung)}}
	case t.slowest > prompt:
		return []Finding{{Verdict: Risky, Got: fmt.Sprintf("no client was told that it had to wait: the slowest connected after %s (control %s)", spoken(t.slowest), spoken(usual.slowest)),
			Measured: measured, Advice: clearAdvice(h.Terms), Evidence: sample(said), Firm: len(said) > 0, Beyond: t.slowest - prompt}}
	case len(t.failed) > 0:
		return held(fmt.Sprintf("%d of %s found it full and were told at once: %s after %s%s", len(t.failed), plural(all, "client"), mostly(t.failed), spoken(tookAtMost(t.failed)), because(said, t.failed)), measured...)
	}
	return held(fmt.Sprintf("all %s found room", plural(all, "client")), measured...)
}
