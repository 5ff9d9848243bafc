package profiles

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/lbtest/lbtest/proxies"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("profile.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("profile.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is the document as an editor hands it to its schema.
func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	var doc any
	if err := yaml.Load(text, &doc); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheSchemaTakesTheWholeCatalogue(t *testing.T) {
	s := compiled(t)
	for _, p := range All() {
		text, err := Render(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v\n%s", p.Name, err, text)
		}
	}
}

func TestTheSchemaAndTheReaderAgree(t *testing.T) {
	s := compiled(t)
	for _, c := range []struct {
		what, text string
		ok         bool
	}{
		{"a plain profile", "name: a\nsettings: {idle-timeout: 5s, idle-expiry: rst}\n", true},
		{"one that extends", "name: a\nextends: aws-alb\n", true},
		{"no name", "settings: {idle-timeout: 5s}\n", false},
		{"no settings", "name: a\n", false},
		{"a name of the catalogue", "name: aws-alb\nextends: aws-alb\n", false},
		{"a name that is none", "name: A b\nextends: aws-alb\n", false},
		{"an unknown base", "name: a\nextends: aws\n", false},
		{"an unknown key", "name: a\nextends: aws-alb\nvendor: me\n", false},
		{"an unknown setting", "name: a\nsettings: {idle-timout: 5s}\n", false},
		{"a word that is none", "name: a\nsettings: {idle-timeout: 5s, idle-expiry: drop}\n", false},
		{"a duration without a unit", "name: a\nsettings: {idle-timeout: 5}\n", false},
		{"a doubt", "name: a\nextends: aws-alb\nunverified: {idle-expiry: nobody says}\n", true},
		{"a doubt about nothing", "name: a\nextends: aws-alb\nunverified: {idle: nobody says}\n", false},
		{"doubts in a list", "name: a\nextends: aws-alb\nunverified: [idle-expiry]\n", false},
		{"notes", "name: a\nextends: aws-alb\nnotes: [it hums]\n", true},
		{"notes that are no list", "name: a\nextends: aws-alb\nnotes: it hums\n", false},
		{"a list", "[a]\n", false},
	} {
		_, err := Parse("a.yaml", []byte(c.text))
		if (err == nil) != c.ok {
			t.Errorf("%s: the reader says %v", c.what, err)
		}
		if err := s.Validate(asJSON(t, []byte(c.text))); (err == nil) != c.ok {
			t.Errorf("%s: the schema says %v", c.what, err)
		}
	}
}

func TestTheSchemaKnowsEverySetting(t *testing.T) {
	for _, setting := range proxies.Settings() {
		if !strings.Contains(string(Schema()), `"`+setting.Name+`": {`) {
			t.Errorf("%s is missing", setting.Name)
		}
	}
}

// Every value that the list of settings shows is one that the schema takes.
func TestTheSchemaTakesEveryListedValue(t *testing.T) {
	s := compiled(t)
	for _, setting := range proxies.Settings() {
		for value := range strings.SplitSeq(setting.Values, ", ") {
			value = strings.NewReplacer("DURATION", "1m30s", "COUNT", "12").Replace(value)
			if _, err := proxies.Direct().With(setting.Name, value); err != nil {
				continue // a placeholder with an example of its own
			}
			text := "name: a\nsettings:\n  " + setting.Name + ": " + value + "\n"
			if err := s.Validate(asJSON(t, []byte(text))); err != nil {
				t.Errorf("%s=%s: %v", setting.Name, value, err)
			}
		}
	}
}
