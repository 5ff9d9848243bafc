package assertions

// Verdict is the answer to one assertion, one scenario or a whole run.
type Verdict string

// The five verdicts. Nothing else is ever reported.
const (
	// Safe held, at no cost beyond the control run.
	Safe Verdict = "safe"
	// Risky held, at a cost that an operator should know.
	Risky Verdict = "risky"
	// Unsafe is a promise that broke.
	Unsafe Verdict = "unsafe"
	// Skipped does not apply here; the reason says why.
	Skipped Verdict = "skipped"
	// Errored is lbtest's own failure and says nothing about the load balancer.
	Errored Verdict = "errored"
)

// Verdicts lists them from the best to the worst news.
func Verdicts() []Verdict { return []Verdict{Safe, Skipped, Risky, Unsafe, Errored} }

// Worse reports whether v outweighs w in a scenario: errored > unsafe > risky > safe > skipped.
func (v Verdict) Worse(w Verdict) bool { return v.weight() > w.weight() }

func (v Verdict) weight() int {
	switch v {
	case Errored:
		return 4
	case Unsafe:
		return 3
	case Risky:
		return 2
	case Safe:
		return 1
	}
	return 0 // skipped: a scenario is skipped only if nothing else was judged
}
