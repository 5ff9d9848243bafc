package assertions

import "fmt"

func init() {
	register(Assertion{
		Name:    "gateways/stay-up-when-quiet",
		Promise: "Gateway connections that have nothing to say are not closed.",
		Explain: "A quiet gateway connection carries PINGs from each end, one per ping_interval and at least one each 15 s, and what servers tell each other about themselves, about every 10 s. A balancer whose " +
			"idle timeout is shorter closes it in between, and the server that dialled makes it again a good second later, for ever; what is published to the other cluster meanwhile is lost. " +
			"Counted while nothing is published: connections that end; and what is lost after quiet spells.",
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "idle-keepalive", "max-lifetime"},
		Links:   []string{gatewayLinks},
		Observe: quietly,
		Judge:   judgeGatewaysUp,
		Hostile: []string{"max-lifetime=200ms"},
	})
}

// judgeGatewaysUp is as of other links, but that what closes cost messages is worse than closes.
func judgeGatewaysUp(h History) []Finding {
	findings := judgeStayUp(h)
	lost := lostInSpells(h)
	if f := &findings[0]; f.Verdict == Risky && len(lost) > 0 {
		f.Verdict, f.Marginal = Unsafe, false
		f.Got += fmt.Sprintf("; %s lost after quiet spells", plural(len(lost), "message"))
		f.Measured = append(f.Measured, count("messages_lost", len(lost), "messages"))
		f.Evidence = append(f.Evidence, sample(lost)...)
	}
	return findings
}
