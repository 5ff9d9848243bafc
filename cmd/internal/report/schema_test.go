package report

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("report.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReportsFollowTheSchema(t *testing.T) {
	s := compiled(t)
	reports := samples()
	reports["empty"] = New(Run{}, nil, nil)
	for name, r := range reports {
		var b bytes.Buffer
		if err := writeJSON(&b, r, Style{}); err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemaRefusesWhatIsNoReport(t *testing.T) {
	s := compiled(t)
	for name, breakIt := range map[string]func(doc map[string]any){
		"another schema":      func(d map[string]any) { d["schema"] = "lbtest.report/v2" },
		"no summary":          func(d map[string]any) { delete(d, "summary") },
		"an unknown verdict":  func(d map[string]any) { d["verdict"] = "green" },
		"null for a list":     func(d map[string]any) { d["results"] = nil },
		"a setting of number": func(d map[string]any) { first(d)["settings"] = map[string]any{"stall": 1} },
		"an error unexplained": func(d map[string]any) {
			first(d)["verdict"] = "errored"
			first(d)["because"] = []any{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := writeJSON(&b, sampleSafe(), Style{}); err != nil {
				t.Fatal(err)
			}
			doc, err := jsonschema.UnmarshalJSON(&b)
			if err != nil {
				t.Fatal(err)
			}
			breakIt(doc.(map[string]any))
			if s.Validate(doc) == nil {
				t.Error("the schema accepts it")
			}
		})
	}
}

func first(doc map[string]any) map[string]any {
	return doc["scenarios"].([]any)[0].(map[string]any)
}
