package report

// Picture is what happened in one lab, a lane for each party. Its times are the lab's own: seconds on a clock, however
// much waiting was shortened there.
type Picture struct {
	// Findings names the assertions whose findings it explains.
	Findings []string `json:"findings"`
	// Since says what happened at zero, from which all times count; "" is the beginning of the lab.
	Since     string  `json:"since,omitempty"`
	From      Seconds `json:"from_s"`
	To        Seconds `json:"to_s"`
	TimeScale float64 `json:"time_scale"`
	Lanes     []Lane  `json:"lanes"`
}

// Lane is one party's line through a picture: of the lab, the balancer, the canary, a link, a client, the leader of a
// Raft group, or of the events that the findings quote.
type Lane struct {
	Kind  string `json:"kind"`
	Of    string `json:"of"`
	Spans []Span `json:"spans,omitempty"`
	Marks []Mark `json:"marks,omitempty"`
}

// Span is a stretch of time in one state: fine, less, gone or quiet.
type Span struct {
	From  Seconds `json:"from_s"`
	To    Seconds `json:"to_s"`
	State string  `json:"state"`
	What  string  `json:"what"`
}

// Mark is one moment, and the id of the event it stands for.
type Mark struct {
	At    Seconds `json:"at_s"`
	What  string  `json:"what"`
	Event string  `json:"event,omitempty"`
}
