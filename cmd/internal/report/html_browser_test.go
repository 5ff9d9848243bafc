package report

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/lbtest/lbtest/assertions"
)

// browser starts one headless Chromium for a test. Where it is asked for and missing, that is a failure.
func browser(t *testing.T) context.Context {
	t.Helper()
	if os.Getenv("LBTEST_LONG") == "" {
		t.Skip("a browser takes seconds: set LBTEST_LONG=1")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("LBTEST_REQUIRE_BROWSER") != "" {
			t.Fatal("LBTEST_REQUIRE_BROWSER asks for Chromium, and there is none (apt-get install chromium)")
		}
		t.Skip("there is no Chromium to look at the page with (apt-get install chromium; LBTEST_REQUIRE_BROWSER=1 makes this a failure)")
	}
	// As root there is no sandbox, and in a container little shared memory.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute))
	// Not the test's context, which has ended when the browser is to be closed in good order.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, ended := chromedp.NewExecAllocator(ctx, options...)
	ctx, closed := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // which waits for the process
			t.Errorf("ending the browser: %v", err)
		}
		closed()
		ended()
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return ctx
}

// pageOf writes a report as a file for a browser.
func pageOf(t *testing.T, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := writeHTML(&b, r, Style{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// complaints collects what a page writes to the console, what the browser objects to, and what is fetched from anywhere.
type complaints struct {
	mu   sync.Mutex
	said []string
}

func (c *complaints) listen(ctx context.Context) {
	chromedp.ListenTarget(ctx, func(event any) {
		said := ""
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			said = "console: " + string(e.Type)
		case *runtime.EventExceptionThrown:
			said = "exception: " + e.ExceptionDetails.Error()
		case *log.EventEntryAdded:
			said = "log: " + e.Entry.Text
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; !strings.HasPrefix(url, "file:") && !strings.HasPrefix(url, "data:") {
				said = "fetched: " + url
			}
		}
		if said != "" {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.said = append(c.said, said)
		}
	})
}

// taken gives what was heard since it was last asked for.
func (c *complaints) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said
	c.said = nil
	return said
}

// What a page is asked about itself. Each gives what is wrong, nothing if all is well.
const (
	overflowing = `(() => {
		for (const d of document.querySelectorAll("details")) d.open = true;
		const wide = document.documentElement.scrollWidth;
		if (wide <= innerWidth) return "";
		const widest = [...document.querySelectorAll("main *")].find(e => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll"));
		return "it is " + wide + " px wide on a screen of " + innerWidth + ": " + (widest ? widest.outerHTML.slice(0, 200) : "");
	})()`
	// 4.5 is what WCAG asks of text (AA).
	illegible = `(() => {
		const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
		const rgb = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
		const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
		for (const e of document.querySelectorAll(".v, a, .dim, dt, dd, td, th, pre, button, h1, h2, p, b")) {
			let under = e;
			while (under && rgb(getComputedStyle(under).backgroundColor)[3] === 0) under = under.parentElement;
			const [a, b] = [light(rgb(getComputedStyle(e).color)), light(rgb(getComputedStyle(under || document.body).backgroundColor))].sort((x, y) => y - x);
			const ratio = (a + 0.05) / (b + 0.05);
			if (ratio < 4.5) return "contrast " + ratio.toFixed(2) + " of " + e.outerHTML.slice(0, 120);
		}
		return "";
	})()`
)

func TestThePageInABrowser(t *testing.T) {
	ctx := browser(t)
	for _, c := range []struct {
		name string
		does func(*testing.T, context.Context)
	}{
		{"is whole on every screen", wholeOnEveryScreen},
		{"leads from a cell to what it stands for, by keyboard too", leadsFromCells},
		{"shows only what is asked for, by keyboard alone", showsOnlySome},
		{"is readable without JavaScript", readableWithoutScript},
		{"is complete on paper", completeOnPaper},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab, closed := chromedp.NewContext(ctx)
			defer closed()
			c.does(t, tab)
		})
	}
}

func wholeOnEveryScreen(t *testing.T, tab context.Context) {
	var heard complaints
	heard.listen(tab)
	if err := chromedp.Run(tab, log.Enable(), network.Enable()); err != nil {
		t.Fatal(err)
	}
	for name, r := range samples() {
		url := pageOf(t, r)
		for _, screen := range []struct {
			width  int64
			scheme string
		}{{1280, "light"}, {390, "dark"}} {
			var wide, dim string
			if err := chromedp.Run(tab, chromedp.EmulateViewport(screen.width, 900),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}),
				chromedp.Navigate(url), chromedp.Evaluate(overflowing, &wide), chromedp.Evaluate(illegible, &dim)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if wide+dim != "" {
				t.Errorf("%s at %d px, %s: %s %s", name, screen.width, screen.scheme, wide, dim)
			}
		}
		if said := heard.taken(); len(said) > 0 {
			t.Errorf("%s: %q", name, said)
		}
	}
	// Whoever says that nothing was heard must have ears.
	if err := chromedp.Run(tab, chromedp.Evaluate(`console.error("heard?")`, nil)); err != nil {
		t.Fatal(err)
	}
	if len(heard.taken()) == 0 {
		t.Error("an error on the console is not heard")
	}
}

func leadsFromCells(t *testing.T, tab context.Context) {
	var hash, copied string
	var open, reached bool
	if err := chromedp.Run(tab, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(pageOf(t, sampleSweep())),
		chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(`document.activeElement.className === "skip"`, &reached),
		chromedp.Focus(`a.cell.unsafe`), chromedp.KeyEvent(kb.Enter), chromedp.Poll(`location.hash`, &hash),
		chromedp.Poll(`document.querySelector(location.hash).closest("details").open`, &open),
		chromedp.Click(`article button.copy`), chromedp.Poll(`(text => text !== "copy" && text)(document.querySelector("article button.copy").textContent)`, &copied)); err != nil {
		t.Fatal(err)
	}
	if !reached || hash != "#s3" || !open {
		t.Errorf("the first stop is the way past the head: %t; at %q, open: %t", reached, hash, open)
	}
	if copied != "copied" && copied != "selected" {
		t.Errorf("the button says %q", copied)
	}
}

// sampleLarge is a matrix as large as the regression suite.
func sampleLarge() Report {
	var b builder
	for i := range 267 {
		v := byAttention[i%len(byAttention)]
		s := b.scenario(v, 1)
		s.Topology = []string{"clients-behind-lb", "routes-behind-lb", "gateways-behind-lb"}[i%3]
		s.Profile = fmt.Sprintf("aws-nlb-%d", i)
		s.Name = s.Topology + "/" + s.Profile
		if v == assertions.Skipped || v == assertions.Errored {
			s.Reason = "invented"
			continue
		}
		b.result(loss, v, fmt.Sprintf("%d of 1,000 messages never arrived", i))
	}
	return New(sampleRun("matrix", "--suite", "regression"), b.scenarios, b.results)
}

// What a page shows of what was run: in the map, among the findings, and in the list of all.
const showing = `(() => {
	const seen = q => [...document.querySelectorAll(q)].filter(e => e.checkVisibility()).length;
	return [seen("a.cell"), seen("article"), seen("details.run"), document.querySelector("#filter output").textContent, document.activeElement.type || ""].join(" ");
})()`

func showsOnlySome(t *testing.T, tab context.Context) {
	var heard complaints
	heard.listen(tab)
	large := sampleLarge()
	many := len(large.Scenarios)
	whole := fmt.Sprintf("%d ", many)
	for _, width := range []int64{1280, 390} {
		var all, word, none, again, verdict, linked, wide, dim string
		if err := chromedp.Run(tab, log.Enable(), network.Enable(), chromedp.EmulateViewport(width, 900), chromedp.Navigate(pageOf(t, large)),
			chromedp.Evaluate(showing, &all),
			chromedp.KeyEvent("/"), chromedp.KeyEvent("NLB-26 routes"), chromedp.Evaluate(showing, &word),
			chromedp.KeyEvent(" nothing"), chromedp.Evaluate(showing, &none),
			chromedp.KeyEvent(kb.Escape), chromedp.Evaluate(showing, &again),
			chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(" "), chromedp.Evaluate(showing, &verdict), // the first box is what wants attention first
			chromedp.Evaluate(overflowing, &wide), chromedp.Evaluate(illegible, &dim),
			chromedp.Evaluate(`location.hash = "#s1"; 0`, nil), chromedp.Poll(`!document.querySelector("#s1").closest(".out")`, nil), chromedp.Evaluate(showing, &linked)); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(all, whole) || !strings.Contains(all, fmt.Sprintf(" %d all %d", many, many)) {
			t.Errorf("at %d px it begins with %q", width, all)
		}
		// Of the routes' cells these are the numbers 262 and 265.
		if !strings.HasPrefix(word, "2 ") || !strings.HasSuffix(word, fmt.Sprintf(" 2 2 of %d search", many)) {
			t.Errorf("at %d px, two words leave %q", width, word)
		}
		if !strings.HasPrefix(none, fmt.Sprintf("0 0 0 0 of %d", many)) {
			t.Errorf("at %d px, what nothing is called leaves %q", width, none)
		}
		if again != all+"search" {
			t.Errorf("at %d px, Escape leaves %q of %q", width, again, all)
		}
		left := many - large.Summary.Count(byAttention[0])
		if !strings.HasPrefix(verdict, fmt.Sprintf("%d ", left)) || !strings.HasSuffix(verdict, fmt.Sprintf("%d of %d checkbox", left, many)) {
			t.Errorf("at %d px, without %s there is %q", width, byAttention[0], verdict)
		}
		if !strings.HasPrefix(linked, whole) {
			t.Errorf("at %d px, a link to what is left out leads nowhere: %q", width, linked)
		}
		if said := heard.taken(); wide+dim != "" || len(said) > 0 {
			t.Errorf("at %d px: %s %s %q", width, wide, dim, said)
		}
	}
}

func readableWithoutScript(t *testing.T, tab context.Context) {
	var text string
	if err := chromedp.Run(tab, emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(pageOf(t, samplePictured())), chromedp.Text("main", &text)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"UNSAFE", "quorum-holds", "keep pauses below 2 s", "no leader", "<script>alert(1)</script>", "the meta group"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "copy\n") || strings.Contains(text, "show only") {
		t.Errorf("there is a button or a field that does nothing:\n%s", text)
	}
	if err := chromedp.Run(tab, chromedp.Navigate(pageOf(t, sampleSweep())), chromedp.Text("main", &text)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "idle-timeout") || strings.Contains(text, "show only") {
		t.Errorf("not all is shown, or a field that does nothing:\n%s", text)
	}
}

func completeOnPaper(t *testing.T, tab context.Context) {
	var wrong string
	if err := chromedp.Run(tab, emulation.SetEmulatedMedia().WithMedia("print"), chromedp.Navigate(pageOf(t, samplePictured())),
		chromedp.Evaluate(`[...document.querySelectorAll("button, nav")].filter(e => e.offsetHeight > 0).map(e => e.outerHTML)
			.concat([...document.querySelectorAll("details > :not(summary)")].filter(e => e.offsetHeight === 0).map(e => "not there: " + e.outerHTML)).join("\n")`, &wrong)); err != nil {
		t.Fatal(err)
	}
	if wrong != "" {
		t.Error(wrong)
	}
}
