package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadGivesBackWhatWasWritten(t *testing.T) {
	for name, want := range samples() {
		var b bytes.Buffer
		if err := writeJSON(&b, want, Style{}); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%s differs, got -, want +:\n%s", name, d)
		}
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	const head = `{"schema":"lbtest.report/v1","verdict":"safe",`
	for name, c := range map[string]struct{ doc, want string }{
		"nothing":            {"", "it is empty"},
		"cut off":            {`{"schema":"lbtest.rep`, "ends in the middle"},
		"not JSON":           {"<html>", "not JSON at byte 1"},
		"a list":             {"[]", "a report is a JSON object, this is a array"},
		"another schema":     {`{"schema":"lbtest.report/v9"}`, `its schema is "lbtest.report/v9", this lbtest reads lbtest.report/v1`},
		"no schema":          {`{}`, `its schema is ""`},
		"no verdict":         {`{"schema":"lbtest.report/v1"}`, `the run has the verdict ""`},
		"wrong kind":         {`{"run":{"seed":"x"}}`, "run.seed is a string at byte"},
		"endless time":       {`{"run":{"duration_s":1e99}}`, "out of range"},
		"a foreign verdict":  {head + `"scenarios":[{"name":"a","verdict":"green"}]}`, `scenario 1 ("a") has the verdict "green"`},
		"a nameless one":     {head + `"scenarios":[{"verdict":"safe"}]}`, "scenario 1 has no name"},
		"the same twice":     {head + `"scenarios":[{"name":"a","verdict":"safe"},{"name":"a","verdict":"safe"}]}`, `scenario 2 ("a") is there twice`},
		"an orphan":          {head + `"results":[{"scenario":"b","verdict":"safe"}]}`, `result 1 belongs to scenario "b"`},
		"a bad result":       {head + `"scenarios":[{"name":"a","verdict":"safe"}],"results":[{"scenario":"a","assertion":"x/y"}]}`, `result 1 (x/y of a) has the verdict ""`},
		"something after it": {head[:len(head)-1] + "} {}", "something follows its end"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.doc))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something with %q", err, c.want)
			}
		})
	}
}

func TestReadToleratesNewFields(t *testing.T) {
	r, err := Read(strings.NewReader(`{"schema":"lbtest.report/v1","verdict":"safe","scenarios":[{"name":"a","verdict":"safe","later":1}],"more":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Results == nil || r.Scenarios[0].Settings == nil {
		t.Errorf("what is absent should be empty: %+v", r)
	}
}

// FuzzRead holds that whatever is accepted can be rendered in every format and read again.
func FuzzRead(f *testing.F) {
	for _, r := range samples() {
		var b bytes.Buffer
		if err := writeJSON(&b, r, Style{}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte(`{"schema":"lbtest.report/v1","verdict":"unsafe","scenarios":[{"name":"a","verdict":"unsafe","advice":[{}]}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, err := Read(bytes.NewReader(doc))
		if err != nil {
			return
		}
		for _, format := range Formats() {
			var b bytes.Buffer
			if err := format.Write(&b, r, Style{Verbose: true}); err != nil {
				t.Fatalf("%s: %v", format.Name, err)
			}
		}
		var b bytes.Buffer
		if err := writeJSON(&b, r, Style{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(&b); err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
	})
}
