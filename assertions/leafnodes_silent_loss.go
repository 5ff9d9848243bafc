package assertions

func init() {
	register(Assertion{
		Name:    "leafnodes/silent-loss",
		Promise: "Nothing is published into a leafnode or gateway connection that one end takes for alive and the other side never hears of.",
		Explain: "A balancer that forgets a quiet connection without a FIN or an RST leaves both servers with one that looks up. They learn it only from unanswered PINGs: a leaf node after ping_max + 1 of its " +
			"intervals, 4 to 6 min by default, its hub after up to one more, since it leaves PINGs out where it hears something; gateways after 30 to 45 s. Whatever is published into it meanwhile is lost " +
			"without an error. After each quiet spell every node publishes every 50 ms and all others listen, until all is heard again; what never arrives is counted, and how long it went on. Measured " +
			"from the moment the balancer ended the connection without saying so until the last end gave it up. (Of routes, routes/notice-silence says the same.)",
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry"},
		Links:   []string{leafLinks, gatewayLinks},
		Observe: quietly,
		Endings: true,
		Judge:   judgeSilentLoss,
		Hostile: []string{"idle-timeout=10s", "idle-expiry=silent"},
	})
}

// judgeSilentLoss is as of routes, and says how long the loss went on.
func judgeSilentLoss(h History) []Finding {
	findings := judgeNoticeSilence(h)
	if f := &findings[0]; f.Verdict != Skipped {
		gap := longestGap(lostInSpells(h))
		f.Measured = append(f.Measured, seconds("longest_gap", gap))
		if gap > 0 {
			f.Got += " for up to " + spoken(gap) + asShortened(h.Terms)
		}
	}
	return findings
}
