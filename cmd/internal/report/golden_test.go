package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func TestRenderingsAreAsReviewed(t *testing.T) {
	plain := Style{Unicode: true}
	verbose := Style{Unicode: true, Verbose: true}
	for _, c := range []struct {
		file, format string
		report       Report
		style        Style
	}{
		{"sweep.txt", "text", sampleSweep(), plain},
		{"sweep-verbose.txt", "text", sampleSweep(), verbose},
		{"sweep-ascii.txt", "text", sampleSweep(), Style{Width: 80}},
		{"sweep-colour.txt", "text", sampleSweep(), Style{Unicode: true, Colour: true}},
		{"sweep.json", "json", sampleSweep(), Style{}},
		{"safe.txt", "text", sampleSafe(), plain},
		{"safe.json", "json", sampleSafe(), Style{}},
		{"interrupted.txt", "text", sampleInterrupted(), plain},
		{"errored.txt", "text", sampleErrored(), plain},
		{"verified.txt", "text", sampleVerified(), plain},
		{"profiles.txt", "text", sampleProfiles(), plain},
		{"endpoint.txt", "text", sampleEndpoint(), plain},
		{"endpoint.json", "json", sampleEndpoint(), Style{}},
		{"profiles.json", "json", sampleProfiles(), Style{}},
		{"pictured.json", "json", samplePictured(), Style{}},
		{"sweep.junit.xml", "junit", sampleSweep(), Style{}},
		{"matrix.junit.xml", "junit", sampleMatrix(), Style{}},
		{"pictured.junit.xml", "junit", samplePictured(), Style{}},
		{"sweep.md", "markdown", sampleSweep(), Style{}},
		{"matrix.md", "markdown", sampleMatrix(), Style{}},
		{"pictured.md", "markdown", samplePictured(), Style{}},
		{"endpoint.md", "markdown", sampleEndpoint(), Style{}},
		{"sweep.html", "html", sampleSweep(), Style{}},
		{"matrix.html", "html", sampleMatrix(), Style{}},
		{"pictured.html", "html", samplePictured(), Style{}},
		{"endpoint.html", "html", sampleEndpoint(), Style{}},
		{"sweep.csv", "csv", sampleSweep(), Style{}},
		{"sweep.jsonl", "jsonl", sampleSweep(), Style{}},
		{"sweep.prom", "prometheus", sampleSweep(), Style{}},
		{"matrix.prom", "prometheus", sampleMatrix(), Style{}},
	} {
		t.Run(c.file, func(t *testing.T) {
			f, ok := Find(c.format)
			if !ok {
				t.Fatalf("no format %s", c.format)
			}
			var got bytes.Buffer
			if err := f.Write(&got, c.report, c.style); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", c.file)
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v (-update writes it)", err)
			}
			if d := cmp.Diff(got.String(), string(want)); d != "" {
				t.Errorf("rendering differs from %s, got -, want +:\n%s", path, d)
			}
		})
	}
}

func TestTextKeepsToItsWidth(t *testing.T) {
	for name, r := range samples() {
		for _, width := range []int{0, 80, 140} {
			var out bytes.Buffer
			if err := writeText(&out, r, Style{Unicode: true, Width: width}); err != nil {
				t.Fatal(err)
			}
			most := width
			if width == 0 {
				most = defaultWidth
			}
			for _, l := range strings.Split(out.String(), "\n") {
				if n := utf8.RuneCountInString(l); n > most {
					t.Errorf("%s in %d columns has a line of %d: %s", name, most, n, l)
				}
			}
		}
	}
}

func TestTextIsASCIIWhereNothingElseIsAllowed(t *testing.T) {
	for name, r := range samples() {
		var out bytes.Buffer
		if err := writeText(&out, r, Style{Verbose: true}); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(out.String(), func(c rune) bool { return c > unicode.MaxASCII }); i >= 0 {
			t.Errorf("%s has %q", name, out.String()[i:min(i+20, out.Len())])
		}
	}
}

func TestTextDoesNotLetQuotedLogsMoveTheCursor(t *testing.T) {
	var b builder
	b.scenario("unsafe", 1, "stall=1s").Advice = []Advice{{Target: "\x1b[2J", Text: "a\x07\x1b[31m"}}
	b.result(mesh, "unsafe", "\x1b[1A\x1b[2Kall is well\r")
	b.scenario("errored", 1, "stall=2s").Reason = "\x1b]0;title\x07 \u202egnp"
	var out bytes.Buffer
	if err := writeText(&out, New(sampleRun("\x1b[2J"), b.scenarios, b.results), Style{Unicode: true, Verbose: true}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\r\u202e") {
		t.Errorf("control characters came through: %q", out.String())
	}
}
