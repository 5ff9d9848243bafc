package proxies

import "time"

// The kinds of Event.
const (
	KindBegin     = "begin"     // forwarding starts
	KindEnd       = "end"       // the connection is gone at both sides
	KindRefused   = "refused"   // the client was turned away; Why is how the backend did not answer, or a policy's error
	KindExpired   = "expired"   // a standing setting ended the connection; an end follows
	KindGaveUp    = "gave-up"   // after a silent expiry one end closed (fin), or reset or was reset (rst)
	KindStall     = "stall"     // bytes and new connections are held from here
	KindResume    = "resume"    // and delivered from here
	KindOutage    = "outage"    // all connections end, new ones are refused from here
	KindRestored  = "restored"  // and served again, at the same address, from here
	KindCrash     = "crash"     // all connections end
	KindRestarted = "restarted" // and the balancer is back, remembering nothing
	KindReload    = "reload"    // connections stay with the old instance, new ones go to a new one
	KindToxics    = "toxics"    // the toxics of a frontend's connections are others from here; What lists them
	KindDisabled  = "disabled"  // a frontend's connections end, new ones are refused from here
	KindEnabled   = "enabled"   // and served again from here
	KindApplied   = "applied"   // a standing setting acted on a connection without ending it; Why names it, What says how
	KindDown      = "down"      // a health check took a backend out of rotation
	KindUp        = "up"        // and put it back
	KindRemoved   = "removed"   // an operator took a backend out of rotation

	KindRestoredBackend = "returned" // and put it back
)

// Event is something the balancer did or saw. Those of one connection are noted in the order in which
// they happened; those of the whole balancer have no Conn.
type Event struct {
	At                   time.Time
	Kind                 string
	Front, Backend, Conn string

	// The four ends: the dialler's address, the frontend's, the balancer's own towards the backend,
	// and the backend's.
	ClientAddr, FrontAddr, LocalAddr, BackendAddr string

	How string // how it ended, an Ending's text; "" where nothing ended
	Why string // the setting that did it, or client, server, cut, close

	What string // a phrase for the reader, where there is more to say

	Up, Down int64         // bytes delivered to the backend and to the client; exact in an end
	Age      time.Duration // since the connection's begin
}
