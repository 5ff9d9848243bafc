package assertions

func init() {
	register(Assertion{
		Name:    "leafnodes/stay-up-when-quiet",
		Promise: "Leafnode connections that have nothing to say are not closed.",
		Explain: "A quiet leafnode connection carries nothing but the leaf node's PINGs, one per ping_interval, which is 2 min by default, and the answers. A balancer whose idle timeout is shorter closes it " +
			"between two PINGs, and the leaf node makes it again a second later, for ever; what is published to either side meanwhile is lost. Counted while nothing is published: connections that end.",
		Speaks:  []string{"idle-timeout", "idle-timeout-client", "idle-timeout-server", "idle-expiry", "idle-keepalive", "max-lifetime"},
		Links:   []string{leafLinks},
		Observe: quietly,
		Judge:   judgeStayUp,
		Hostile: []string{"idle-timeout=50s"},
	})
}
