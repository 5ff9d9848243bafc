package topologies

import (
	"fmt"
	"slices"
	"strings"
)

// AuthMode is how clients show who they are.
type AuthMode string

// The ways there are to log in.
const (
	Password AuthMode = "password" // a user and a password an account
	Token    AuthMode = "token"    // one token, and no account but the global one, nor anybody who may look at the system account
	NKey     AuthMode = "nkey"     // a key pair an account: the client signs what the server asks it to
	Creds    AuthMode = "creds"    // operator mode: signed accounts and users, accounts in the server's memory
	MTLS     AuthMode = "mtls"     // the client's certificate names the user: tls.verify_and_map
)

// AuthModes lists them, the usual one first.
func AuthModes() []AuthMode { return []AuthMode{Password, Token, NKey, Creds, MTLS} }

// Logins is what the servers know about those who log in; what only clients know is not in it. The zero value is a
// user and a password an account.
type Logins struct {
	Mode     AuthMode
	Token    string            // Token: of the global account
	Users    map[string]string // by account. NKey: the user's public key; MTLS: the subject of its certificate
	Operator string            // Creds: who signs accounts, a JWT
	Signed   map[string]Signed // Creds: the accounts
}

// Signed is an account of operator mode.
type Signed struct{ PublicKey, JWT string }

// globalAccount is where the server puts whoever shows the one token.
const globalAccount = "$G"

// renderUser writes who belongs to an account, where the configuration says so.
func (l Logins) renderUser(a Account) string {
	switch {
	case l.Mode == NKey:
		return "{ nkey: " + quote(l.Users[a.Name]) + " }"
	case l.Mode == MTLS:
		return "{ user: " + quote(l.Users[a.Name]) + " }"
	}
	return "{ user: " + quote(a.User) + ", password: " + quote(a.Password) + " }"
}

// renderSigned writes the accounts of operator mode.
func (b Build) renderSigned(root *block) {
	root.set(quote(b.Logins.Operator), "Who may sign accounts.", "operator")
	root.set("MEMORY", "Accounts are these, and no others are looked for.", "resolver")
	for _, a := range b.Accounts() {
		signed := b.Logins.Signed[a.Name]
		root.set(quote(signed.JWT), "Account "+a.Name+".", "resolver_preload", signed.PublicKey)
		if a.System {
			root.set(quote(signed.PublicKey), "", "system_account")
		}
	}
}

// ParseAuthMode reads a way to log in; "" is the usual one. Its errors are the user's.
func ParseAuthMode(given string) (AuthMode, error) {
	if given == "" {
		return Password, nil
	}
	if !slices.Contains(AuthModes(), AuthMode(given)) {
		var all []string
		for _, m := range AuthModes() {
			all = append(all, string(m))
		}
		return "", fmt.Errorf("%q: no such way to log in; there are %s", given, strings.Join(all, ", "))
	}
	return AuthMode(given), nil
}
