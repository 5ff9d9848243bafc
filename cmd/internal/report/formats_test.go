package report

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lbtest/lbtest/assertions"
)

func rendered(t *testing.T, format string, r Report) string {
	t.Helper()
	f, ok := Find(format)
	if !ok {
		t.Fatalf("no format %s", format)
	}
	var b bytes.Buffer
	if err := f.Write(&b, r, Style{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// element is XML as the readers of JUnit take it apart.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e element) each(name string) []element {
	var found []element
	for _, c := range e.Children {
		if c.XMLName.Local == name {
			found = append(found, c)
		}
	}
	return found
}

// The rules of the schema that CI systems agree on (Jenkins' junit-10.xsd): which elements stand where, in which order,
// with which attributes; a case has one outcome; counts are those of the cases.
func TestJUnitFollowsTheSchemaThatCISystemsRead(t *testing.T) {
	for name, r := range samples() {
		var root element
		if err := xml.Unmarshal([]byte(rendered(t, "junit", r)), &root); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if root.XMLName.Local != "testsuites" || len(root.each("testsuite")) != len(root.Children) {
			t.Errorf("%s: the root is %s", name, root.XMLName.Local)
		}
		total := map[string]int{}
		for _, suite := range root.Children {
			counts := junitCounts(t, name, suite)
			for _, attr := range []string{"tests", "failures", "errors", "skipped"} {
				if got := suite.attr(attr); got != fmt.Sprint(counts[attr]) {
					t.Errorf("%s: suite %s says %s=%s, it has %d", name, suite.attr("name"), attr, got, counts[attr])
				}
				total[attr] += counts[attr]
			}
			if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`).MatchString(suite.attr("timestamp")) || suite.attr("name") == "" {
				t.Errorf("%s: suite %q at %q", name, suite.attr("name"), suite.attr("timestamp"))
			}
		}
		for attr, n := range total {
			if got := root.attr(attr); got != fmt.Sprint(n) {
				t.Errorf("%s: all suites have %d %s, the root says %s", name, n, attr, got)
			}
		}
	}
}

func junitCounts(t *testing.T, name string, suite element) map[string]int {
	t.Helper()
	counts := map[string]int{}
	named := map[string]bool{}
	for i, child := range suite.Children {
		if child.XMLName.Local == "properties" && i == 0 {
			continue
		}
		id := child.attr("classname") + " " + child.attr("name")
		if child.XMLName.Local != "testcase" || child.attr("name") == "" || child.attr("classname") == "" || !regexp.MustCompile(`^\d+\.\d{3}$`).MatchString(child.attr("time")) {
			t.Errorf("%s: %s %q, time %q", name, child.XMLName.Local, id, child.attr("time"))
		}
		if named[id] {
			t.Errorf("%s: two cases are called %s", name, id)
		}
		named[id] = true
		counts["tests"]++
		outcomes := 0
		for plural, one := range map[string]string{"failures": "failure", "errors": "error", "skipped": "skipped"} {
			n := len(child.each(one))
			outcomes += n
			counts[plural] += n
			for _, o := range child.each(one) {
				if o.attr("message") == "" || one != "skipped" && o.attr("type") == "" {
					t.Errorf("%s: the %s of %s has no message or type", name, one, id)
				}
			}
		}
		if outcomes > 1 {
			t.Errorf("%s: %s has %d outcomes", name, id, outcomes)
		}
	}
	return counts
}

func TestJUnitFailsWhatTheExitCodeFails(t *testing.T) {
	failed := func(r Report, scenario string) (n int) {
		var root element
		if err := xml.Unmarshal([]byte(rendered(t, "junit", r)), &root); err != nil {
			t.Fatal(err)
		}
		for _, s := range root.Children {
			if s.attr("name") == scenario {
				for _, c := range s.each("testcase") {
					n += len(c.each("failure"))
				}
			}
		}
		return n
	}
	for scenario, want := range map[string]bool{
		"routes-behind-lb/acme-l4":      true,  // a new failure
		"routes-behind-lb/acme-edge":    true,  // fixed: expectations bind both ways
		"websocket-behind-lb/acme-edge": true,  // newly skipped
		"clients-behind-lb/acme-edge":   false, // unsafe, as expected
		"gateways-behind-lb/acme-l4":    false, // risky, as expected
		"clients-behind-lb/acme-l4":     false,
	} {
		if got := failed(sampleMatrix(), scenario) > 0; got != want {
			t.Errorf("%s fails: %t, want %t", scenario, got, want)
		}
	}
	r := sampleMatrix()
	r.Matrix.Baseline = nil
	if failed(r, "clients-behind-lb/acme-edge") != 1 || failed(r, "gateways-behind-lb/acme-l4") != 0 {
		t.Error("without a baseline what is unsafe fails, and what is risky does not")
	}
}

func TestASummaryStaysUnderGitHubsCapAndSaysWhatIsMissing(t *testing.T) {
	var b builder
	for i := range 3000 {
		b.scenario(assertions.Unsafe, 1, fmt.Sprintf("stall=%ds", i+1)).Advice = []Advice{{Target: "load-balancer", Text: fmt.Sprintf("not %d seconds", i)}}
		b.result(quorum, assertions.Unsafe, strings.Repeat("a long sentence, → ", 20))
	}
	got := rendered(t, "markdown", New(sampleRun(), b.scenarios, b.results))
	if len(got) >= 1<<20 {
		t.Errorf("it has %d bytes, GitHub shows at most %d", len(got), 1<<20)
	}
	if len(got) < 1<<20-1<<14 {
		t.Errorf("it has only %d bytes where there is more to say", len(got))
	}
	told := regexp.MustCompile(`Left out: (\d+[\d,]*) findings, .* (3,000) scenarios`).FindStringSubmatch(got)
	if told == nil {
		t.Fatalf("it does not say how much is left out: %s", got[len(got)-400:])
	}
	var left int
	fmt.Sscan(strings.ReplaceAll(told[1], ",", ""), &left)
	if shown := strings.Count(got, "- advice for"); shown+left != 3000 {
		t.Errorf("%d findings are shown and %d left out, of 3000", shown, left)
	}
	if strings.Count(got, "<details>") != strings.Count(got, "</details>") {
		t.Error("something is left open")
	}
	if small := rendered(t, "markdown", sampleSweep()); strings.Contains(small, "Left out") {
		t.Error("a small summary leaves something out")
	}
}

// foul is what a server could call itself, or log, to do harm to whoever reads about it.
const foul = `</script><script>alert(1)</script>"><img src=x onerror=alert(2)> ' | [x](javascript:alert(3)) ` + "``` `" + ` @octocat =cmd()` + "\x1b[2J\u202e\r\n<!--"

// poisoned has it wherever a text may come from outside.
func poisoned() Report {
	r := sampleMatrix()
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		s.Reason, s.Because, s.Notes = foul, []string{foul}, []string{foul}
		s.Source, s.Reproduce, s.Unverified = foul, foul, map[string]string{foul: foul}
		s.Facts = []Fact{{foul, foul}}
		s.NATS, s.Client, s.Auth = map[string]string{foul: foul}, map[string]string{foul: foul}, foul
		s.Advice = []Advice{{Target: foul, Text: foul}}
		s.Pictures = []Picture{{Findings: []string{foul}, Since: foul, From: 0, To: Seconds(1e9), Lanes: []Lane{{Kind: foul, Of: foul,
			Spans: []Span{{0, Seconds(1e9), foul, foul}}, Marks: []Mark{{0, foul, foul}}}}}}
	}
	for i := range r.Results {
		s := &r.Results[i]
		s.Got, s.Promise, s.Link, s.Assertion = foul, foul, foul, foul
		s.Evidence, s.Timeline = []string{foul}, []Moment{{foul, 0, foul}}
		s.Measured = []Measure{{foul, 1, foul}}
	}
	v := &r.Run.Versions
	r.Run.Command, r.Run.ID, r.Events = []string{foul}, foul, foul
	v.LBTest, v.NATSServer, v.NATSGo, v.Toxiproxy, v.Go = foul, foul, foul, foul, foul
	r.Matrix.Suite, r.Matrix.Baseline.File = foul, foul
	return r
}

func TestNothingFromOutsideBecomesMarkup(t *testing.T) {
	page := rendered(t, "html", poisoned())
	shown, _, _ := strings.Cut(page, dataBegins) // behind it is the report as it is, which Read wants
	for _, bad := range []string{"<script>alert", "<img", "<!--", `onerror=alert(2)>`, "\x1b", "\u202e"} {
		if i := strings.Index(shown, bad); i >= 0 {
			t.Errorf("the page has %q: %q", bad, shown[max(0, i-80):min(len(shown), i+80)])
		}
	}
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img") || strings.Contains(page, "<!--") {
		t.Error("the report in the page ends its element")
	}
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("the page has %d scripts, its own and its data are 2", n)
	}
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("something was put where nothing can be escaped")
	}
	summary := rendered(t, "markdown", poisoned())
	outside := regexp.MustCompile("(?s)(?m)^ *`{3,}.*?^ *`{3,}$").ReplaceAllString(summary, "") // what is fenced means itself
	for _, bad := range []string{"<script", "<img", " [x](javascript", "@octocat", "\x1b", "\u202e"} {
		if i := strings.Index(outside, bad); i >= 0 {
			t.Errorf("the summary has %q: %q", bad, outside[max(0, i-80):min(len(outside), i+80)])
		}
	}
	var root element
	if err := xml.Unmarshal([]byte(rendered(t, "junit", poisoned())), &root); err != nil {
		t.Errorf("junit: %v", err)
	}
	for i, rows := 0, csvRows(t, poisoned()); i < len(rows); i++ {
		for j, cell := range rows[i] {
			if cell != "" && strings.ContainsRune("=+@", rune(cell[0])) {
				t.Errorf("row %d, cell %d is a formula: %q", i, j, cell)
			}
		}
	}
	promLines(t, rendered(t, "prometheus", poisoned()))
}

func TestThePageNeedsNothingFromOutside(t *testing.T) {
	for name, r := range samples() {
		page, _, _ := strings.Cut(rendered(t, "html", r), dataBegins)
		for _, bad := range []string{"src=", "@import", "url(", `href="http`, "<iframe", "<link rel=\"stylesheet"} {
			if strings.Contains(page, bad) && !strings.Contains(page, "onerror=alert(1)") {
				t.Errorf("%s has %q", name, bad)
			}
		}
	}
}

func TestAPageIsReadAsTheReportItIs(t *testing.T) {
	for name, r := range samples() {
		got, err := Read(strings.NewReader(rendered(t, "html", r)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := Read(strings.NewReader(rendered(t, "json", r)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%s: got -, want +:\n%s", name, d)
		}
	}
	if _, err := Read(strings.NewReader(doctype + "<p>hello")); err == nil || !strings.Contains(err.Error(), "holds no report") {
		t.Errorf("a page without one: %v", err)
	}
}

func csvRows(t *testing.T, r Report) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(rendered(t, "csv", r))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestATableHasEveryNumberAndEveryScenario(t *testing.T) {
	for name, r := range samples() {
		rows := csvRows(t, r)
		numbers, scenarios := 0, map[string]bool{}
		for _, row := range rows[1:] {
			scenarios[row[0]] = true
			if row[12] != "" {
				numbers++
			}
		}
		want := 0
		for _, res := range r.Results {
			want += len(res.Measured)
		}
		if numbers != want || len(scenarios) != len(r.Scenarios) {
			t.Errorf("%s: %d numbers of %d, %d scenarios of %d", name, numbers, want, len(scenarios), len(r.Scenarios))
		}
	}
}

func TestEveryJSONLineStandsByItself(t *testing.T) {
	for name, r := range samples() {
		kinds := map[string]int{}
		lines := bufio.NewScanner(strings.NewReader(rendered(t, "jsonl", r)))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var l struct {
				Kind string `json:"kind"`
				Run  string `json:"run_id"`
			}
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil || l.Run != r.Run.ID {
				t.Errorf("%s: %v in %s", name, err, lines.Text())
			}
			kinds[l.Kind]++
		}
		if kinds["run"] != 1 || kinds["scenario"] != len(r.Scenarios) || kinds["result"] != len(r.Results) {
			t.Errorf("%s: %v", name, kinds)
		}
	}
}

var sample = regexp.MustCompile(`^([a-z_]+)(\{([a-z_]+="([^"\\\n]|\\[\\"n])*",?)+\})? -?[0-9.e+-]+$`)

// promLines checks what a scrape checks: the form of each line, that a metric's samples stand below its type, and that
// no series is there twice.
func promLines(t *testing.T, text string) {
	t.Helper()
	typed, seen := "", map[string]bool{}
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if rest, ok := strings.CutPrefix(l, "# TYPE "); ok {
			typed = strings.TrimSuffix(rest, " gauge")
			continue
		}
		if strings.HasPrefix(l, "# HELP ") {
			continue
		}
		m := sample.FindStringSubmatch(l)
		if m == nil || m[1] != typed {
			t.Errorf("below %s there is %q", typed, l)
		}
		series := l[:strings.LastIndexByte(l, ' ')]
		if seen[series] {
			t.Errorf("%s is there twice", series)
		}
		seen[series] = true
	}
}

func TestPrometheusCanScrapeIt(t *testing.T) {
	for name, r := range samples() {
		t.Run(name, func(t *testing.T) { promLines(t, rendered(t, "prometheus", r)) })
	}
}
