package profiles

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lbtest/lbtest/proxies"
)

// Schema is the JSON schema (draft 2020-12) of a user's profile, for editors that complete and check. It is
// made from the settings there are, so that it knows each of them; what only the reader can check, such as
// whether a duration fits, it leaves to it.
func Schema() []byte {
	known := ordered{}
	for _, s := range proxies.Settings() {
		known = append(known, member{s.Name, schemaOf(s)})
	}
	text := func(about string) ordered {
		return ordered{{"type", "string"}, {"minLength", 1}, {"description", about}}
	}
	settingNames := ordered{{"enum", settings()}}
	schema := ordered{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "lbtest profile"},
		{"description", "A load balancer as lbtest simulates it, for --profile ./my-lb.yaml."},
		{"type", "object"},
		{"required", []string{keyName}},
		{"anyOf", []ordered{{{"required", []string{keySettings}}}, {{"required", []string{keyExtends}}}}},
		{"additionalProperties", false},
		{"properties", ordered{
			{keyName, ordered{{"type", "string"}, {"pattern", nameForm.String()}, {"not", ordered{{"enum", Names()}}},
				{"description", "What reports call it; not a name of the catalogue."}}},
			{keyAbout, text("What it is, in a line.")},
			{keySource, text("Where its numbers were read.")},
			{keyChecked, text("When that was.")},
			{keyExtends, ordered{{"enum", Names()}, {"description", "A load balancer of the catalogue that it is like, but for what is said here."}}},
			{keySettings, ordered{{"type", "object"}, {"description", "What it does; lbtest list settings says more."}, {"additionalProperties", false}, {"properties", known}}},
			{keyUnverified, ordered{{"type", "object"}, {"description", "Settings that nobody has verified, and what is assumed of each. An idle-expiry that stands here and not among the settings is judged in every manner."},
				{"propertyNames", settingNames}, {"additionalProperties", ordered{{"type", "string"}, {"minLength", 1}}}}},
			{keyNotes, ordered{{"type", "array"}, {"description", "What else is to be known about it, a sentence each."}, {"items", ordered{{"type", "string"}, {"minLength", 1}}}}},
		}},
	}
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("the schema of profiles: %v", err)) // it consists of texts
	}
	return append(out, '\n')
}

// forms are what the placeholders in a setting's values stand for.
var forms = map[string]ordered{
	"DURATION": {{"type", "string"}, {"pattern", `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`}},
	"COUNT":    {{"type", "integer"}, {"minimum", 1}},
}

// schemaOf turns the values a setting may have, as they are listed, into a schema. What it has no form for may
// be any text or number.
func schemaOf(s proxies.Setting) ordered {
	var words []string
	var any []ordered
	for value := range strings.SplitSeq(s.Values, ", ") {
		switch form, known := forms[value]; {
		case value == strings.ToLower(value) && !strings.ContainsAny(value, " :"):
			words = append(words, value)
		case known:
			any = append(any, form)
		default:
			any = append(any, ordered{{"type", []string{"string", "number"}}})
		}
	}
	about := member{"description", s.About + " (default: " + s.Default + "; values: " + s.Values + ")"}
	if len(any) == 0 {
		return ordered{about, {"enum", words}}
	}
	if len(words) > 0 {
		any = append([]ordered{{{"enum", words}}}, any...)
	}
	return ordered{about, {"anyOf", any}}
}

// ordered is a JSON object whose members keep their order.
type ordered []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o ordered) MarshalJSON() ([]byte, error) {
	parts := make([]string, len(o))
	for i, m := range o {
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		parts[i] = string(name) + ":" + string(value)
	}
	return []byte("{" + strings.Join(parts, ",") + "}"), nil
}
