package assertions

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

func init() {
	register(Assertion{
		Name:    "tls/refuses-wrong-ca",
		Promise: "A client that trusts another authority is kept from connecting by its own verification.",
		Explain: "Whoever ends TLS shows a certificate, and a client that trusts none of its authorities must not go on. This is what tells the balancer one means from any other machine that answers at its address, " +
			"and it shows that the clients of this run do verify. Clients dial as all others do, with the same options, and trust nobody.",
		Speaks:   []string{"tls"},
		Links:    []string{"clients"},
		Observe:  distrusting,
		Moot:     mootInTheClear,
		Judge:    judgeWrongCA,
		Unbroken: "verification is the client's own: no balancer is known that makes a client believe a stranger",
	})
}

// distrustful is how many clients try: more than one for each of three nodes.
const distrustful = 4

// distrusting lets clients connect that trust nobody.
var distrusting = &Observation{Name: "distrusting", Watch: func(ctx context.Context, t Target, rec *Recorder) error {
	if t.TLS == nil {
		return nil
	}
	stranger := t
	stranger.TLS = t.TLS.Clone()
	stranger.TLS.RootCAs = x509.NewCertPool()
	for i := range distrustful {
		began := rec.Now()
		nc, err := stranger.dial(t.plain()[0], "lbtest stranger")
		e := Event{From: Client, Kind: "distrusted", Seq: i, Took: rec.Now() - began}
		var unverified *tls.CertificateVerificationError
		switch {
		case err == nil:
			e.Kind = "believed"
			_, e.Peer = encryption(nc)
			nc.Close()
		case errors.As(err, &unverified):
			e.How, e.Why = wrongCertificate, err.Error()
		default:
			e.Why = words(err, e.Took)
		}
		rec.Add(e)
		if ctx.Err() != nil {
			break
		}
	}
	return ctx.Err()
}}

func judgeWrongCA(h History) []Finding {
	believed := h.Kind(Client, "believed")
	refused := h.Kind(Client, "distrusted")
	var otherwise []Event
	for _, e := range refused {
		if e.How != wrongCertificate {
			otherwise = append(otherwise, e)
		}
	}
	measured := []Measure{count("strangers_believed", len(believed), "connections")}
	switch {
	case len(believed) > 0:
		return []Finding{{Verdict: Unsafe, Got: fmt.Sprintf("%d of %s that trust nobody connected all the same", len(believed), plural(len(believed)+len(refused), "client")),
			Measured: measured, Evidence: sample(believed),
			Advice: []Advice{{Target: "client", Text: "nats.RootCAs(…) or nats.Secure(…) without InsecureSkipVerify"}}}}
	case len(refused) < distrustful:
		return unseen("not every client that trusts nobody was seen")
	case len(otherwise) > 0:
		return skip("no certificate was shown to a client that trusts nobody: " + otherwise[0].Why)
	}
	return held(plural(len(refused), "client")+" that trust nobody were shown a certificate and did not believe it", measured...)
}
