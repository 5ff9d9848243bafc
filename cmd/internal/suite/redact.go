package suite

import (
	"reflect"
	"regexp"
	"strings"

	"github.com/lbtest/lbtest/assertions"
)

// secretive is what looks like a secret wherever it stands: an nkey's seed, a JWT, a private key, what stands before the
// host in a URL.
var secretive = []struct {
	looks *regexp.Regexp
	as    string
}{
	{regexp.MustCompile(`\bS[ACNOUX][A-Z2-7]{56}\b`), redacted},
	{regexp.MustCompile(`\beyJ[\w-]+\.[\w-]+\.[\w-]+`), redacted},
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), redacted},
	{regexp.MustCompile(`(://)[^/@\s"]+@`), "${1}" + redacted + "@"},
}

// hidden lists what the clients and servers of a lab prove themselves with. Their passwords are not among it: there a
// password is the user's name, and opens nothing.
func (m secrets) hidden() []string {
	var all []string
	add := func(secrets ...string) {
		for _, s := range secrets {
			if s != "" {
				all = append(all, s)
			}
		}
	}
	add(m.logins.Token)
	for _, c := range m.clients {
		add(c.Token, c.Seed, c.JWT)
	}
	return all
}

// redact takes secrets out of events, in place: those that are known and what looks like one.
func redact(events []assertions.Event, known []string) {
	for i := range events {
		redactStrings(reflect.ValueOf(&events[i]).Elem(), known)
	}
}

func redactStrings(v reflect.Value, known []string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			redactStrings(v.Elem(), known)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				redactStrings(v.Field(i), known)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			redactStrings(v.Index(i), known)
		}
	case reflect.String:
		if v.Len() > 0 {
			v.SetString(redactedText(v.String(), known))
		}
	}
}

func redactedText(s string, known []string) string {
	for _, secret := range known {
		s = strings.ReplaceAll(s, secret, redacted)
	}
	for _, p := range secretive {
		s = p.looks.ReplaceAllString(s, p.as)
	}
	return s
}
