package suite

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

// security is who speaks TLS and how clients log in. Where no client link crosses the balancer, the tester's own clients
// do so in the usual way, unless clients cross another one (securityBeside).
func (s scenario) security() assertions.Security {
	if !s.balances(topologies.Clients) {
		return assertions.Security{Balancer: "passthrough", Auth: string(topologies.Password)}
	}
	return s.implied()
}

// securityBeside is that of one view of a topology among all of them. Servers have one client port, whichever link is
// judged: as the clients' view has it they meet the tester's own clients too, who come past every balancer.
func (s scenario) securityBeside(views []scenario) assertions.Security {
	for _, v := range views {
		if v.balances(topologies.Clients) && !s.balances(topologies.Clients) {
			return v.implied().Direct()
		}
	}
	return s.security()
}

// insecureTogether says why TLS or the way to log in cannot be had where several links are balanced; "" if it can. A view
// that is left out for it is not enough: the servers, and each balancer, stand beside the other views as well.
func insecureTogether(views []scenario) string {
	for _, v := range views {
		if ends := v.profile.Value("tls"); v.link().Joins() && ends != "" && ends != "passthrough" {
			return fmt.Sprintf("tls=%s: %s have no TLS in this topology, so such a balancer would not let them through; --set clients:tls=%s is for the clients' balancer alone", ends, v.link(), ends)
		}
	}
	for _, v := range views {
		if why := v.insecure(); why != "" {
			return why
		}
	}
	return ""
}

// implied is what the configuration says. The servers speak TLS where a setting implies that they do, their clients
// where either the servers or the balancer do.
func (s scenario) implied() assertions.Security {
	ends := s.profile.Value("tls")
	if ends == "" {
		ends = "passthrough"
	}
	c := assertions.Security{Balancer: ends, Auth: string(s.auth)}
	if on(s.nats, "tls.verify_and_map") && s.auth == topologies.Password {
		c.Auth = string(topologies.MTLS)
	}
	keys := slices.ContainsFunc(s.nats, func(kv topologies.KeyValue) bool { return kv.SpeaksTLS() && kv.Value != topologies.None })
	c.Verified = c.Auth == string(topologies.MTLS) || on(s.nats, "tls.verify") || on(s.nats, "tls.verify_and_map")
	switch {
	case keys, c.Verified, strings.HasPrefix(ends, "re-encrypt"), ends == "terminate" && on(s.nats, "allow_non_tls"),
		ends == "passthrough" && slices.Contains(s.top, "tls"):
		c.Servers = greets(s.nats)
	}
	switch {
	case c.Servers == assertions.InTheClear && ends != "terminate":
	case s.client.TLSFirst():
		c.Clients = assertions.TLSFirst
	default:
		c.Clients = assertions.InfoFirst
	}
	return c
}

// greets is how servers that speak TLS begin.
func greets(given []topologies.KeyValue) string {
	value := ""
	for _, kv := range given {
		if kv.Key == "tls.handshake_first" {
			value = strings.ToLower(kv.Value)
		}
	}
	switch value {
	case "", "false", "off", "no", topologies.None:
		return assertions.InfoFirst
	case "true", "on", "yes":
		return assertions.TLSFirst
	}
	return assertions.Either // auto, or a duration
}

// on reports whether a flag of the servers' configuration was switched on.
func on(given []topologies.KeyValue, key string) bool {
	return slices.ContainsFunc(given, func(kv topologies.KeyValue) bool {
		set, err := strconv.ParseBool(kv.Value)
		return kv.Key == key && (err == nil && set || strings.EqualFold(kv.Value, "on") || strings.EqualFold(kv.Value, "yes"))
	})
}

// insecure says why TLS or the way to log in cannot be had here; "" if it can.
func (s scenario) insecure() string {
	implied := s.implied()
	first := s.client.TLSFirst()
	if s.balances(topologies.Clients) {
		if first && implied.Clients == assertions.InTheClear {
			return "--client tls-first=true: nobody here would answer in TLS; add --set tls=… or --nats tls.handshake_first=true"
		}
		return ""
	}
	if slices.Contains(s.topology.Balanced, topologies.Clients) {
		return "" // the clients' view says it
	}
	where := "no client link crosses the balancer of " + s.topology.Name
	switch {
	case s.auth != topologies.Password:
		return fmt.Sprintf("--auth %s: %s, so nobody logs in through it", s.auth, where)
	case first, implied.Balancer != "passthrough", implied.Servers != assertions.InTheClear && !slices.Contains(s.top, "tls"):
		return fmt.Sprintf("TLS: %s, and on no other does this version of lbtest set it up", where)
	}
	return ""
}

// login settles how clients log in. Its errors are the user's.
func login(given string, nats []topologies.KeyValue) (topologies.AuthMode, error) {
	mode, err := topologies.ParseAuthMode(given)
	if err != nil {
		return mode, fmt.Errorf("--auth %w", err)
	}
	if on(nats, "tls.verify_and_map") && (mode == topologies.Token || mode == topologies.Password && given != "") {
		return mode, fmt.Errorf("--auth %s contradicts --nats tls.verify_and_map=true, with which a client is whom its certificate names: leave one of them out", mode)
	}
	return mode, nil
}

// checkable is a build with whatever TLS keys and the way to log in refer to, for the server's parser to read.
func checkable(b topologies.Build, auth topologies.AuthMode) (topologies.Build, error) {
	s := scenario{topology: b.Topology, nats: b.Tuning.Nats, auth: auth}.implied()
	all := b
	all.JetStream = true // each setting is also read by itself, with JetStream
	made, err := newSecrets(s, all, site{}.hosts)
	b.Identity, b.Logins = made.identity, made.logins
	return b, err
}
