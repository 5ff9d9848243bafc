package assertions

import "slices"

// Posture is how an endpoint treats those who connect, as far as it shows.
type Posture struct {
	// TLS holds the values of the setting tls that fit; nil where nobody greeted.
	TLS []string
	// Inspects says that the server's first bytes came only when the client had spoken.
	Inspects bool
	// Header is the PROXY header that a stand-in was sent: off, v1, v2; "" where none stood there.
	Header string
}

// PostureOf reads what a look at an endpoint showed.
func PostureOf(h History) Posture {
	var p Posture
	heard := h.Kind(Client, "greeting")
	plain, first := bestOf(heard, listened), bestOf(heard, tlsFirst)
	switch {
	case plain != nil && plain.Info != nil:
		p.TLS = []string{"passthrough"} // who speaks first in the clear has ended nothing
	case first != nil && first.Info != nil && !first.Info.TLSRequired && !first.Info.TLSAvailable:
		p.TLS = []string{"terminate"} // the server knows of no TLS
	case first != nil && first.Info != nil && len(h.Kind(Client, "direct")) > 0:
		p.TLS = []string{"re-encrypt", "re-encrypt-mtls"}
		if own, _ := h.First(Client, "direct"); own.TLS != nil && first.TLS != nil && own.TLS.Print == first.TLS.Print {
			p.TLS = []string{"passthrough"}
		}
	case first != nil && first.Info != nil:
		p.TLS = []string{"passthrough", "re-encrypt", "re-encrypt-mtls"}
	}
	spoken := bestOf(heard, spokeUp)
	p.Inspects = spoken != nil && spoken.Info != nil && (plain == nil || plain.Info == nil)
	ours, _ := seenBehind(h)
	if len(ours) > 0 {
		p.Header = "off"
		i := slices.IndexFunc(ours, func(e Event) bool { return e.Far.Header != "" })
		if i >= 0 {
			p.Header = ours[i].Far.Header[:2]
		}
	}
	return p
}
