package proxies

// Ending is the manner in which a balancer ends a connection.
type Ending string

const (
	// Close sends FIN to both ends: each reads the end of the stream.
	Close Ending = "fin"
	// Reset sends RST to both ends: each gets a reset by its peer.
	Reset Ending = "rst"
	// Vanish keeps both sockets open and moves nothing, as a packet-level box does once it has
	// forgotten a flow without a word. The ends find out only by pinging.
	Vanish Ending = "silent"
	// ResetOnNext is silence until the next byte: the side it came from is reset, the other stays in
	// silence until it speaks too.
	ResetOnNext Ending = "rst-on-next"
)

// silent says whether the ends are told nothing at the time.
func (e Ending) silent() bool { return e == Vanish || e == ResetOnNext }
