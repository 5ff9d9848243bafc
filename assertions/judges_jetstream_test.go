package assertions

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// publishing is JetStream through an event from 5 to 6 s: S1 is acknowledged ten times a second but for
// one wait of gap seconds from 5 s on.
func publishing(gap float64, more ...any) []Event {
	before, after := acks("S1", 1, 41, 0.1), acks("S1", 5+gap, 20, 0.1)
	for i := range after {
		after[i].Seq += len(before)
	}
	return line(append([]any{on(0.5, Server, "mesh-full"), ownedBy("S-R3F-a", "stream S1"), led(1, "_meta_", 1), led(1, "S-R3F-a", 1), before, after, strike(5, 6),
		on(30, Client, "flowing"), on(31, Client, "published", stream("S1"), many(61))}, more...)...)
}

func TestQuorumHolds(t *testing.T) {
	control := publishing(0.1)
	stall, standing := struckBy("stall", 1), threeNodes()
	idle := idleFor(20, "fin")
	// An election on the way from one leader to the next; leaderless from 6 to 7.5 s.
	elected := func(group string, t uint64) []Event {
		return line(follows(6, group, "n1", "CANDIDATE", "", t), follows(7.5, group, "n2", "LEADER", "n2", t),
			follows(7.5, group, "n1", "FOLLOWER", "n2", t), follows(7.5, group, "n3", "FOLLOWER", "n2", t))
	}
	// A rise of the term that no look found leaderless.
	risenTo := func(t uint64) []Event { return led(6, "S-R3F-a", t) }
	lostQuorum := func(at float64, n, s string) Event { return on(at, Client, "quorum-lost", node(n), stream(s)) }
	published := func(n int) Event { return on(32, Client, "published", stream("S2"), many(n)) }
	stuck := func(events []Event) []Event {
		return line(without(events, "flowing"), on(36, Client, "not-flowing"))
	}
	judgeAll(t, "jetstream/quorum-holds", []judged{
		{name: "publishing that goes on is safe", terms: stall, events: publishing(0.1), control: control,
			want: Safe, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 100ms (stream S1; control 100ms)",
			measured: map[string]float64{"longest_ack_gap": 0.1, "elections": 0, "longest_without_leader": 0, "quorum_lost_advisories": 0, "publishes_unacknowledged": 0}},
		{name: "a wait of exactly 2 s in an event is safe", terms: stall, events: publishing(2), control: control,
			want: Safe, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 2s (stream S1; control 100ms)"},
		{name: "just beyond is risky, and marginal", terms: stall, events: publishing(2.001), control: control, marginal: true,
			want: Risky, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 2s (stream S1; control 100ms)"},
		{name: "half a second beyond is not marginal", terms: stall, events: publishing(2.5), control: control,
			want: Risky, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 2.5s (stream S1; control 100ms)", measured: map[string]float64{"longest_ack_gap": 2.5}},
		{name: "a control that waited as long is no cost of the balancer", terms: stall, events: publishing(2.5), control: publishing(2),
			want: Safe, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 2.5s (stream S1; control 2s)"},
		{name: "without an event half a second beyond the control is no cost", terms: standing, events: publishing(0.6), control: control,
			want: Safe, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 600ms (stream S1; control 100ms)"},
		{name: "just beyond it is risky, and marginal", terms: standing, events: publishing(0.601), control: control, marginal: true,
			want: Risky, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 601ms (stream S1; control 100ms)"},
		{name: "a second beyond it is not marginal", terms: standing, events: publishing(1.1), control: control,
			want: Risky, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 1.1s (stream S1; control 100ms)"},
		{name: "publishes that failed are risky, few of them marginal", terms: stall, events: publishing(0.1, published(2)), control: control, marginal: true,
			want: Risky, got: "2 of 63 publishes never acknowledged (control 0); all 2 Raft groups kept their leader and their quorum; longest wait for an ack 100ms (stream S1; control 100ms)", measured: map[string]float64{"publishes_unacknowledged": 2}},
		{name: "three more than in the control are not marginal", terms: stall, events: publishing(0.1, published(4)), control: publishing(0.1, published(1)),
			want: Risky, got: "4 of 65 publishes never acknowledged (control 1); all 2 Raft groups kept their leader and their quorum; longest wait for an ack 100ms (stream S1; control 100ms)"},
		{name: "as many as in the control are no cost", terms: stall, events: publishing(0.1, published(4)), control: publishing(0.1, published(4)),
			want: Safe, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 100ms (stream S1; control 100ms)"},
		{name: "a term that rose without a leaderless moment is unsafe, and marginal", terms: stall, events: publishing(0.1, risenTo(2)), control: control, marginal: true,
			want: Unsafe, got: "no leadership moved and no quorum lost, but a leader was missing or elected anew in 1 of 2 Raft groups: stream S1 (n1 led in term 1, and again in term 2); 1 election called though no node failed; longest wait for an ack 100ms (stream S1; control 100ms)"},
		{name: "two elections are not marginal", terms: stall, events: publishing(0.1, risenTo(3)), control: control,
			want: Unsafe, got: "no leadership moved and no quorum lost, but a leader was missing or elected anew in 1 of 2 Raft groups: stream S1 (n1 led in term 1, and again in term 3); 2 elections called though no node failed; longest wait for an ack 100ms (stream S1; control 100ms)"},
		{name: "the longest time without a leader is told with its group", terms: stall, control: control,
			events: publishing(2.6, line(elected("S-R3F-a", 2), follows(6.2, "S-R3F-a", "n3", "FOLLOWER", "", 2))),
			want:   Unsafe, got: "leadership moved in 1 of 2 Raft groups, no quorum lost: stream S1 (n1 led in term 1, then n2 in term 2, without a leader for 1.5s); 1 election called though no node failed; " +
				"longest wait for an ack 2.6s (stream S1; control 100ms)", measured: map[string]float64{"elections": 1, "longest_without_leader": 1.5, "raft_groups": 2, "groups_moved": 1, "groups_without_quorum": 0, "availability": 42.222}},
		{name: "an advisory alone is unsafe, and counted once however many hear it", terms: stall, control: control,
			events: publishing(0.1, lostQuorum(6, "n1", "S1"), lostQuorum(6.001, "n2", "S1")),
			want:   Unsafe, got: "quorum lost in 1 of 2 Raft groups, no leadership moved: stream S1 (n1 led in term 1; its servers said so); longest wait for an ack 100ms (stream S1; control 100ms)", measured: map[string]float64{"quorum_lost_advisories": 1}},
		{name: "advisories of two streams are two", terms: stall, control: control,
			events: publishing(0.1, lostQuorum(6, "n1", "S1"), lostQuorum(6, "n1", "S2")),
			want:   Unsafe, got: "quorum lost in 2 of 3 Raft groups, no leadership moved: stream S1 (n1 led in term 1; its servers said so); longest wait for an ack 100ms (stream S1; control 100ms)"},
		{name: "what happened before the event is not the event's", terms: stall, control: control,
			events: publishing(0.1, led(3, "S-R3F-a", 4), lostQuorum(4, "n1", "S1")),
			want:   Safe, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 100ms (stream S1; control 100ms)"},
		{name: "a leader that gives up without having been voted out has lost its quorum", terms: stall, control: control,
			events: publishing(2.6, follows(6, "S-R3F-a", "n1", "FOLLOWER", "", 1), line(elected("S-R3F-a", 2))),
			want:   Unsafe, got: "quorum lost in 1 of 2 Raft groups, leadership moved in 1: stream S1 (n1 led in term 1, then n2 in term 2, without a leader for 1.5s; n1 gave the lead up); " +
				"1 election called though no node failed; longest wait for an ack 2.6s (stream S1; control 100ms)", measured: map[string]float64{"groups_moved": 1, "groups_without_quorum": 1}},
		{name: "and so has one that goes on leading and hears nobody", terms: stall, control: control,
			events: publishing(0.1, on(15, Server, "raft", stream("S-R3F-a"), node("n1"), how("LEADER"), peer("n1"), term(1), many(2), why(silenced)), on(16, Client, "acked", stream("S9")), published(1)),
			want:   Unsafe, got: "quorum lost in 1 of 2 Raft groups, no leadership moved: stream S1 (n1 led in term 1; n1 led and heard from no majority for 10 s); " +
				"longest wait for an ack 100ms (stream S1; control 100ms)", measured: map[string]float64{"groups_moved": 0, "groups_without_quorum": 1}},
		{name: "what a leader says that is voted out is no loss", terms: stall, control: control,
			events: publishing(0.1, lostQuorum(6, "n1", "S1"), follows(6.2, "S-R3F-a", "n1", "FOLLOWER", "n2", 2), follows(6.2, "S-R3F-a", "n2", "LEADER", "n2", 2)),
			want:   Unsafe, got: "leadership moved in 1 of 2 Raft groups, no quorum lost: stream S1 (n1 led in term 1, then n2 in term 2); " +
				"1 election called though no node failed; longest wait for an ack 100ms (stream S1; control 100ms)", marginal: true,
			measured: map[string]float64{"groups_moved": 1, "groups_without_quorum": 0, "quorum_lost_advisories": 1}},
		{name: "and so has a group that nobody leads for 10 s, whatever its servers say", terms: stall, control: control,
			events: publishing(0.1, follows(6, "_meta_", "n1", "CANDIDATE", "", 2), follows(16, "_meta_", "n1", "LEADER", "n1", 2), on(16.5, Client, "acked", stream("S9")), published(1)),
			want:   Unsafe, got: "quorum lost in 1 of 2 Raft groups, no leadership moved: the meta group (n1 led in term 1, and again in term 2, without a leader for 10s; no majority for 10 s); " +
				"1 election called though no node failed; longest wait for an ack 100ms (stream S1; control 100ms)", measured: map[string]float64{"groups_moved": 0, "groups_without_quorum": 1}},
		{name: "a group that came into being meanwhile had no leader to lose", terms: stall, control: control,
			events: publishing(0.1, follows(5.5, "S-R3F-b", "n1", "FOLLOWER", "", 0), led(6, "S-R3F-b", 1)),
			want:   Safe, got: "all 2 Raft groups kept their leader and their quorum; longest wait for an ack 100ms (stream S1; control 100ms)"},
		{name: "publishing that did not come back is unsafe", terms: stall, events: stuck(publishing(0.1)), control: control,
			want: Unsafe, got: "all 2 Raft groups kept their leader and their quorum; publishing did not work again within 30 s; longest wait for an ack 100ms (stream S1; control 100ms)"},
		{name: "an election in the pause of an idle timeout counts", terms: idle, control: control,
			events: publishing(0.1, on(1.9, Lab, "pause-begin"), led(3, "S-R3F-a", 3), on(4.9, Lab, "pause-end")),
			want:   Unsafe, got: "no leadership moved and no quorum lost, but a leader was missing or elected anew in 1 of 2 Raft groups: stream S1 (n1 led in term 1, and again in term 3); 2 elections called though no node failed; longest wait for an ack 100ms (stream S1; control 100ms)"},
		{name: "streams that could not be made are unsafe", terms: stall, control: control,
			events: line(on(1, Server, "mesh-full"), on(31, Client, "no-stream", stream("S1"), why("no leader"))),
			want:   Unsafe, got: fmt.Sprintf("1 of %d R3 streams could not be used within 30 s: no leader", stall.streamCount()), measured: map[string]float64{"streams_unusable": 1}},
		{name: "where the mesh never formed that is the reason", terms: standing, control: control,
			events: line(on(30, Server, "mesh-partial"), on(41, Client, "no-stream", stream("S1"), why("no leader")), on(41, Client, "no-stream", stream("S2"), why("no leader"))),
			want:   Unsafe, got: fmt.Sprintf("2 of %d R3 streams could not be used as the full mesh never formed: no leader", standing.streamCount())},
		{name: "no ack at all is unsafe", terms: stall, control: control,
			events: line(led(1, "_meta_", 1), strike(5, 6), on(36, Client, "not-flowing"), on(37, Client, "published", stream("S1"), many(700))),
			want:   Unsafe, got: "none of 700 publishes was acknowledged", measured: map[string]float64{"publishes_unacknowledged": 700}},
		{name: "nothing published is skipped", terms: stall, control: control, want: Skipped, got: "nothing was published to a stream, or not to the end"},
		{name: "publishing whose end nobody saw is not safe", terms: stall, events: without(publishing(0.1), "flowing"), control: control,
			want: Skipped, got: "nobody saw whether publishing worked in the end"},
		{name: "groups that nobody saw may have elected", terms: stall, events: without(publishing(0.1), "raft"), control: control,
			want: Skipped, got: "no Raft group was seen before the event, so no election can be told"},
		{name: "without strike events no election can be told", terms: stall, events: without(publishing(0.1), "strike-begin"), control: control,
			want: Skipped, got: "no Raft group was seen before the event, so no election can be told"},
	})
}

func TestNoAckedLoss(t *testing.T) {
	stall := struckBy("stall", 1)
	kept := func(more ...any) []Event {
		return line(append([]any{acks("S1", 1, 20, 0.1), readBackOf("S1", 20)}, more...)...)
	}
	same := func(name string, n int) []Event {
		return line(replicasOf(name, n, n, n), copiesOf(name, n, "a", "a", "a"))
	}
	swapped := readBackOf("S1", 20)
	swapped[4].Seq, swapped[5].Seq = 6, 5
	const safe = "20 acknowledged messages read back from every replica, once, in order and byte for byte the same"
	judgeAll(t, "jetstream/no-acked-loss", []judged{
		{name: "what was acknowledged and can be read is safe", terms: stall, events: kept(same("S1", 20)),
			want: Safe, got: safe + "; sync_interval 120s",
			measured: map[string]float64{"acked": 20, "acked_lost": 0, "streams_unreadable": 0, "streams_disagreeing": 0, "stored_twice": 0, "out_of_order": 0, "writes_failed": 0, "sync_interval": 120}},
		{name: "messages without an ack may be there, and are counted apart", terms: stall,
			events: kept(on(50, Client, "read", stream("S1"), seq(21)), on(55, Client, "published", stream("S1"), many(22)), same("S1", 21)),
			want:   Safe, got: safe + "; counted apart: 2 writes failed, of which 1 are there; sync_interval 120s",
			measured: map[string]float64{"writes_failed": 2, "writes_failed_stored": 1, "writes_retried": 0}},
		{name: "what was said again without an id may be there twice, and anywhere", terms: stall,
			events: kept(on(9, Client, "retried", stream("S1"), seq(3)), on(9, Client, "retry-acked", stream("S1"), seq(3)), on(50, Client, "read", stream("S1"), seq(3)),
				on(55, Client, "published", stream("S1"), many(20)), same("S1", 21)),
			want: Safe, got: "21 acknowledged messages read back from every replica, once, in order and byte for byte the same; " +
				"counted apart: 0 writes failed, of which 0 are there; 1 said again without a message id, of which 1 are there twice; sync_interval 120s",
			measured: map[string]float64{"writes_retried": 1, "retries_stored_twice": 1, "stored_twice": 0}},
		{name: "but it must be there if it was acknowledged", terms: stall,
			events: kept(on(9, Client, "retried", stream("S1"), seq(21)), on(9, Client, "retry-acked", stream("S1"), seq(21)), same("S1", 20)),
			want:   Unsafe, got: "1 of 21 acknowledged messages could not be read back; sync_interval 120s"},
		{name: "an acknowledged message that is missing is unsafe", terms: stall, events: kept(on(4, Client, "acked", stream("S1"), seq(21)), same("S1", 20)),
			want: Unsafe, got: "1 of 21 acknowledged messages could not be read back; sync_interval 120s", measured: map[string]float64{"acked": 21, "acked_lost": 1}},
		{name: "one that is there twice though it was said once is unsafe", terms: stall, events: kept(on(50, Client, "read", stream("S1"), seq(4)), same("S1", 21)),
			want: Unsafe, got: "1 message stored twice though published once (first number 4 of S1); sync_interval 120s", measured: map[string]float64{"stored_twice": 1}},
		{name: "one that is in another's place is unsafe", terms: stall, events: line(acks("S1", 1, 20, 0.1), swapped, same("S1", 20)),
			want: Unsafe, got: "1 acknowledged message out of order (first number 5 of S1, at place 6); sync_interval 120s", measured: map[string]float64{"out_of_order": 1}},
		{name: "replicas that hold as much but not the same are unsafe", terms: stall, events: kept(replicasOf("S1", 20, 20, 20), copiesOf("S1", 20, "a", "a", "b")),
			want: Unsafe, got: "the replicas of 1 stream hold as much, but not the same (first n3 of S1); sync_interval 120s", measured: map[string]float64{"streams_disagreeing": 1}},
		{name: "a replica that cannot take over is unsafe", terms: stall,
			events: kept(replicasOf("S1", 20, 20, 20), copiesOf("S1", 20, "a", "a"), on(80, Client, "no-copy", stream("S1"), node("n3"), why("its leader has not moved yet"))),
			want:   Unsafe, got: "1 replica could not be made the leader and read back within 30 s (first n3 of S1: its leader has not moved yet); sync_interval 120s"},
		{name: "a replica that nobody read may hold anything", terms: stall, events: kept(replicasOf("S1", 20, 20, 20), copiesOf("S1", 20, "a", "a")),
			want: Skipped, got: "nobody read each node's copy of S1"},
		{name: "the same number in another stream is another message", terms: stall,
			events: kept(on(4, Client, "acked", stream("S2"), seq(1)), same("S1", 20), same("S2", 1)),
			want:   Unsafe, got: "1 of 21 acknowledged messages could not be read back; sync_interval 120s"},
		{name: "replicas that differ are unsafe, each stream once", terms: stall, events: kept(replicasOf("S1", 20, 19, 18)),
			want: Unsafe, got: "the replicas of 1 stream do not agree 10 s after the end", measured: map[string]float64{"streams_disagreeing": 1}},
		{name: "a node without a copy does not agree", terms: stall, events: kept(replicasOf("S1", 20, 20, 0)),
			want: Unsafe, got: "the replicas of 1 stream do not agree 10 s after the end"},
		{name: "a stream that cannot be read is unsafe", terms: stall,
			events: line(acks("S1", 1, 2, 0.1), on(80, Client, "unreadable", stream("S1"), why("no responders")), replicasOf("S1", 2, 2, 2)),
			want:   Unsafe, got: "1 stream could not be read back within 30 s, 2 acknowledged messages not found: no responders", measured: map[string]float64{"streams_unreadable": 1, "acked_lost": 2}},
		{name: "nothing acknowledged is skipped", terms: stall, events: line(replicasOf("S1", 0, 0, 0)), want: Skipped, got: "nothing was acknowledged, so nothing can be lost"},
		{name: "an empty history is skipped", terms: stall, want: Skipped, got: "nothing was acknowledged, so nothing can be lost"},
		{name: "copies that nobody saw do not agree", terms: stall, events: kept(), want: Skipped, got: "nobody saw what each node's copy of S1 holds"},
		{name: "two copies of three are not enough", terms: stall, events: kept(replicasOf("S1", 20, 20)), want: Skipped, got: "nobody saw what each node's copy of S1 holds"},
		{name: "nodes that do not answer do not agree either", terms: stall, events: kept(replicasOf("S1", 0, 0, 0)), want: Skipped, got: "nobody saw what each node's copy of S1 holds"},
		{name: "an ack is worth what reaches the disks, which must be known", terms: stall, events: without(kept(same("S1", 20)), "sync"), want: Skipped,
			got: "nobody saw how often the servers sync what they store"},
		{name: "a stream of a cluster has its copies there alone", terms: twoClusters(), events: kept(on(0.9, Client, "stream", stream("S1"), node("n1"), many(3)), same("S1", 20)),
			want: Safe, got: safe + "; sync_interval 120s"},
	})
}

// supercluster is two clusters of three behind gateways.
func twoClusters() Terms {
	t := struckBy("stall", 1)
	t.Nodes = []string{"n1", "n2", "n3", "m1", "m2", "m3"}
	t.Clusters = []Group{{Name: "east", Nodes: t.Nodes[:3]}, {Name: "west", Nodes: t.Nodes[3:]}}
	return t
}

func TestMetaLeaderStable(t *testing.T) {
	stall := struckBy("stall", 12)
	watched := func(more ...any) []Event {
		return line(append([]any{led(1, "_meta_", 3), strike(5, 17), on(30, Client, "flowing")}, more...)...)
	}
	judgeAll(t, "jetstream/meta-leader-stable", []judged{
		{name: "a leader that stays is safe", terms: stall, events: watched(), want: Safe, got: "n1 led in term 3 from the beginning to the end",
			measured: map[string]float64{"elections": 0, "groups_moved": 0, "longest_without_leader": 0, "availability": 100}},
		{name: "streams' elections are others' subject", terms: stall, events: watched(led(1, "S-R3F-a", 1), led(8, "S-R3F-a", 2)), want: Safe,
			got: "n1 led in term 3 from the beginning to the end"},
		{name: "one that is voted out is unsafe", terms: stall, events: watched(follows(9, "_meta_", "n2", "CANDIDATE", "", 4), follows(17.5, "_meta_", "n1", "FOLLOWER", "n2", 4),
			follows(17.5, "_meta_", "n2", "LEADER", "n2", 4), follows(17.5, "_meta_", "n3", "FOLLOWER", "n2", 4)), want: Unsafe,
			got: "leadership moved in 1 of 1 Raft group, no quorum lost: the meta group (n1 led in term 3, then n2 in term 4); 1 election called though no node failed", marginal: true,
			measured: map[string]float64{"elections": 1, "groups_moved": 1}},
		{name: "and so is one that gives up", terms: stall, events: watched(follows(9, "_meta_", "n2", "CANDIDATE", "", 4), follows(9, "_meta_", "n3", "CANDIDATE", "", 4),
			follows(16, "_meta_", "n1", "FOLLOWER", "", 3), led(18, "_meta_", 5)), want: Unsafe,
			got: "quorum lost in 1 of 1 Raft group, no leadership moved: the meta group (n1 led in term 3, and again in term 5, without a leader for 9s; n1 gave the lead up); " +
				"2 elections called though no node failed", measured: map[string]float64{"elections": 2, "longest_without_leader": 9, "groups_without_quorum": 1, "availability": 64}},
		{name: "a cluster that never has a leader is unsafe", terms: stall, events: line(follows(1, "_meta_", "n1", "FOLLOWER", "", 1), on(31, Client, "no-stream", stream("S1"), why("no leader"))),
			want: Unsafe, got: "the meta group had no leader within 31s of the start"},
		{name: "streams that cannot be made though it has one are others' subject", terms: stall, events: line(led(1, "_meta_", 1), on(31, Client, "no-stream", stream("S1"), why("no peers"))),
			want: Skipped, got: "no stream could be used, though the meta group has a leader: no peers"},
		{name: "a group that nobody saw may have done anything", terms: stall, events: without(watched(), "raft"), want: Skipped,
			got: "the meta group was not seen to have a leader before the event, so no election can be told"},
		{name: "nor is an end that nobody saw one", terms: stall, events: without(watched(), "flowing"), want: Skipped, got: "nobody watched the meta group to the end"},
	})
}

func TestATimelineTellsWhatHappened(t *testing.T) {
	events := publishing(2.6, follows(5.8, "S-R3F-a", "n2", "CANDIDATE", "", 2), follows(6, "S-R3F-a", "n1", "FOLLOWER", "", 2), follows(7, "S-R3F-a", "n2", "LEADER", "n2", 2),
		follows(7, "S-R3F-a", "n3", "FOLLOWER", "n2", 2), on(7.1, Client, "leader-elected", node("n1"), stream("S1"), ofWhat("stream S1"), peer("n2")),
		on(7.101, Client, "leader-elected", node("n3"), stream("S1"), ofWhat("stream S1"), peer("n2")))
	h := History{Terms: struckBy("stall", 1), Events: events, Control: &History{Terms: threeNodes(), Events: publishing(0.1)}}
	var got []string
	for _, m := range judgeQuorum(h)[0].Timeline {
		got = append(got, fmt.Sprintf("%s %+.1f %s", m.Of, m.At.Seconds(), m.What))
	}
	want := []string{
		"stream S1 -2.0 n1 leads in term 1",
		"stream S1 +0.0 stall begins",
		"stream S1 +0.0 the last ack for 2.6s",
		"stream S1 +0.8 n2 is candidate in term 2",
		"stream S1 +1.0 stall is over",
		"stream S1 +1.0 n1 is follower in term 2",
		"stream S1 +1.0 no majority agrees on a leader",
		"stream S1 +2.0 n2 is leader in term 2",
		"stream S1 +2.0 n3 is follower in term 2",
		"stream S1 +2.0 a majority agrees that n2 leads in term 2",
		"stream S1 +2.1 advisory at n1: n2 elected",
		"stream S1 +2.6 acks come again",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// leaderless is, for each Raft group, the stretches of [from, to] in which no majority of its members agreed on a leader that
// thinks it is one.
func leaderless(events []Event, from, to time.Duration) map[string][]window {
	found := map[string][]window{}
	for group, views := range viewsByGroup(events) {
		for _, r := range reigns(views, to) {
			if w := r.within(window{from, to}); r.leader == "" && w.length() > 0 {
				found[group] = append(found[group], w)
			}
		}
	}
	return found
}

func TestLeaderlessWindows(t *testing.T) {
	from, to := secs(5), secs(10)
	win := func(a, b float64) []window { return []window{{secs(a), secs(b)}} }
	for _, c := range []struct {
		name   string
		events []Event
		want   map[string][]window
	}{
		{"a group whose members agree has none", led(1, "g", 1), map[string][]window{}},
		{"nothing seen is nothing told", nil, map[string][]window{}},
		{"two of three that follow a leader are a majority", line(led(1, "g", 1), follows(6, "g", "n3", "CANDIDATE", "", 2)), map[string][]window{}},
		{"a leader whom only itself follows has none", line(led(1, "g", 1), follows(6, "g", "n2", "FOLLOWER", "", 1), follows(6.5, "g", "n3", "FOLLOWER", "", 1),
			follows(8, "g", "n3", "FOLLOWER", "n1", 1)), map[string][]window{"g": win(6.5, 8)}},
		{"one that all follow but who no longer leads is no leader", line(led(1, "g", 1), follows(6, "g", "n1", "FOLLOWER", "n1", 1), follows(7, "g", "n1", "LEADER", "n1", 1)),
			map[string][]window{"g": win(6, 7)}},
		{"a window that began before is cut at the beginning", line(led(1, "g", 1), follows(4, "g", "n1", "CANDIDATE", "", 2), follows(6, "g", "n1", "LEADER", "n1", 2)),
			map[string][]window{"g": win(5, 6)}},
		{"one that is still open ends with the watching", line(led(1, "g", 1), follows(7, "g", "n1", "CANDIDATE", "", 2)), map[string][]window{"g": win(7, 10)}},
		{"one that ended before does not count", line(led(1, "g", 1), follows(3, "g", "n1", "CANDIDATE", "", 2), follows(5, "g", "n1", "LEADER", "n1", 2)), map[string][]window{}},
		{"what comes after the end does not count", line(led(1, "g", 1), follows(10.1, "g", "n1", "CANDIDATE", "", 2)), map[string][]window{}},
		{"groups are told apart", line(led(1, "g", 1), led(1, "h", 1), follows(7, "g", "n1", "CANDIDATE", "", 2), follows(8, "h", "n1", "CANDIDATE", "", 2)),
			map[string][]window{"g": win(7, 10), "h": win(8, 10)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, leaderless(c.events, from, to), cmp.AllowUnexported(window{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if got := leaderless(line(follows(1, "g", "n1", "CANDIDATE", "", 1)), to, from); len(got) != 0 {
		t.Errorf("a stretch that ends before it begins has windows: %v", got)
	}
}

func TestTermsThatRose(t *testing.T) {
	h := History{Events: line(led(1, "a", 3), led(1, "b", 1), led(2, "a", 4), led(6, "a", 6), led(6, "b", 1), led(6, "new", 9), led(9, "b", 8))}
	if diff := cmp.Diff(map[string]uint64{"a": 4, "b": 1}, highest(h.Events, secs(5))); diff != "" {
		t.Errorf("highest (-want +got):\n%s", diff)
	}
	// b rose after the end, and a new group had no term before.
	q := recordQuorum(h, window{secs(5), secs(8)}, func(*chronicle) bool { return true })
	if len(q.fates) != 2 || q.terms() != 2 || len(q.elected()) != 1 {
		t.Errorf("%d terms in %d of %d groups, want 2 in 1 of 2", q.terms(), len(q.elected()), len(q.fates))
	}
}

func TestAdvisoriesAreCountedOnce(t *testing.T) {
	heard := func(at float64, n, s string) Event { return on(at, Client, "quorum-lost", node(n), stream(s)) }
	h := History{Events: line(heard(4.9, "n1", "S1"), heard(5, "n1", "S1"), heard(5.1, "n2", "S1"), heard(5.999, "n3", "S1"), heard(5.2, "n1", "S2"),
		heard(15.1, "n1", "S1"), on(16, Client, "leader-elected", stream("S1")))}
	var got []time.Duration
	for _, e := range advisories(h, "quorum-lost", secs(5)) {
		got = append(got, e.At)
	}
	if diff := cmp.Diff([]time.Duration{secs(5), secs(5.2), secs(15.1)}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAckGap(t *testing.T) {
	pause := line(on(2, Lab, "pause-begin"), on(60, Lab, "pause-end"))
	ack := func(at float64, s string) Event { return on(at, Client, "acked", stream(s)) }
	for _, c := range []struct {
		name   string
		events []Event
		stream string
		want   float64
	}{
		{"nothing acknowledged is no gap", nil, "", 0},
		{"one ack is no gap", line(ack(1, "S1")), "", 0},
		{"the longest wait of any stream", line(ack(1, "S1"), ack(2, "S2"), ack(3, "S1"), ack(7, "S2")), "S2", 5},
		{"nothing is published in a pause", line(pause, ack(1, "S1"), ack(61, "S1")), "S1", 2},
		{"an ack at its very ends", line(pause, ack(2, "S1"), ack(60, "S1")), "", 0},
		{"an ack that was under way when it began", line(pause, ack(1.9, "S1"), ack(2.001, "S1"), ack(60.3, "S1")), "S1", 0.3},
		{"a wait that has nothing to do with it", line(pause, ack(60.5, "S1"), ack(64, "S1")), "S1", 3.5},
		{"a pause without an end takes nothing away", line(on(2, Lab, "pause-begin"), ack(1, "S1"), ack(4, "S1")), "S1", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			if s, gap := ackGap(History{Events: c.events}); s != c.stream || gap != secs(c.want) {
				t.Errorf("%s of %q, want %gs of %q", gap, s, c.want, c.stream)
			}
		})
	}
}
