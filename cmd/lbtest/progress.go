package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/cmd/internal/suite"
)

const (
	// redraw is how often the live line moves: often enough to look alive.
	redraw = 250 * time.Millisecond
	// silence is how long a log may say nothing before somebody thinks that the run hangs.
	silence = 30 * time.Second
)

// progress tells on stderr how a run gets on: on a terminal as one line redrawn in place with each verdict
// above it, elsewhere as plain lines. It is an io.Writer as well, for a log that must not tear that line.
type progress struct {
	screen
	quiet   bool // nothing but foreign lines
	verbose bool // notes as well
	began   time.Time
	stop    chan struct{}
	stopped chan struct{}

	mu    sync.Mutex
	out   io.Writer
	now   suite.Progress // the last one said, for its counts
	worst assertions.Verdict
	spoke time.Time // when the last line was written
	drawn bool      // the live line is on the screen
	over  bool      // interrupted
}

// watch begins to tell once there is something to tell. Call end before anything else is written to out.
func watch(out io.Writer, s screen, quiet, verbose bool) *progress {
	now := time.Now()
	p := &progress{
		screen: s, quiet: quiet, verbose: verbose, out: out, began: now, spoke: now,
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go p.tick()
	return p
}

// end takes the live line away.
func (p *progress) end() {
	close(p.stop)
	<-p.stopped
	p.mu.Lock()
	defer p.mu.Unlock()
	p.eraseLocked()
}

// say is what a plan calls, from any goroutine.
func (p *progress) say(e suite.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	if e.Kind == "note" {
		if p.verbose {
			p.lineLocked(e.At, strings.TrimLeft(e.Scenario+": "+e.Text, ": "))
		}
		return
	}
	p.now = e
	switch {
	case e.Kind == "plan":
		p.lineLocked(e.At, e.Text)
	case e.Kind == "finished" && p.over && e.Verdict == assertions.Errored:
		// What an interruption left undone is named by the report, once.
	case e.Kind == "finished":
		p.worst = worse(p.worst, e.Verdict)
		text := e.Scenario
		if e.Text != "" {
			text += ": " + strings.Join(strings.Fields(e.Text), " ") // joined errors have lines
		}
		p.lineLocked(e.At, p.Word(e.Verdict, len("errored"))+" "+text)
	case p.terminal:
		p.drawLocked()
	default:
		p.lineLocked(e.At, "started "+e.Scenario)
	}
}

// interrupt says that the run ends early, whatever was asked about quietness.
func (p *progress) interrupt(why string) {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	fmt.Fprintln(p, why)
}

// Write puts foreign lines, such as a log's, above the live one.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoke = time.Now()
	p.eraseLocked()
	n, err := p.out.Write(b)
	p.drawLocked()
	return n, err
}

func (p *progress) tick() {
	defer close(p.stopped)
	every := time.Second
	if p.terminal {
		every = redraw
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-t.C:
			p.mu.Lock()
			if p.terminal {
				p.drawLocked()
			} else if p.now.Total > 0 && now.Sub(p.spoke) >= silence {
				p.lineLocked(now.Sub(p.began), fmt.Sprintf("running %d, %d of %d done", p.now.Running, p.now.Done, p.now.Total))
			}
			p.mu.Unlock()
		}
	}
}

// lineLocked writes a line that stays, with its time on a log that has no other.
func (p *progress) lineLocked(at time.Duration, s string) {
	p.spoke = time.Now()
	if !p.terminal {
		fmt.Fprintf(p.out, "[%7.1fs] %s\n", at.Seconds(), s)
		return
	}
	p.eraseLocked()
	fmt.Fprintln(p.out, s)
	p.drawLocked()
}

// drawLocked writes the live line over the old one. It must fit, or the terminal would wrap it and the next
// one would stand below.
func (p *progress) drawLocked() {
	if !p.terminal || p.now.Total == 0 {
		return
	}
	elapsed := time.Since(p.began)
	done, total := p.now.Done, p.now.Total
	parts := []string{fmt.Sprintf("%d/%d %s running %d", done, total, p.bar(done, total), p.now.Running)}
	if p.worst != "" {
		parts = append(parts, "worst so far "+string(p.worst))
	}
	spent := brief(elapsed)
	if done > 0 && done < total {
		spent += ", about " + brief(elapsed/time.Duration(done)*time.Duration(total-done)) + " left"
	}
	parts = append(parts, spent)
	between := " | "
	if p.Unicode {
		between = " · "
	}
	fmt.Fprint(p.out, "\r\x1b[2K"+cut(strings.Join(parts, between), p.Width-1))
	p.drawn = true
}

func (p *progress) eraseLocked() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[2K")
		p.drawn = false
	}
}

// bar shows how much is done, in 20 steps: fewer would stand still for long in a sweep of thirty.
func (p *progress) bar(done, total int) string {
	const steps = 20
	full, empty := "#", "."
	if p.Unicode {
		full, empty = "█", "░"
	}
	n := 0
	if total > 0 {
		n = min(steps*done/total, steps)
	}
	return strings.Repeat(full, n) + strings.Repeat(empty, steps-n)
}

// brief is a duration to the second.
func brief(d time.Duration) string { return d.Round(time.Second).String() }

// cut shortens a line to width columns; a width of 0 or less is unknown and cuts nothing.
func cut(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width])
}

// worse gives the one of two verdicts that a run would be called after; nothing is judged while v is empty.
// An unsafe answer outweighs one that lbtest could not get.
func worse(v, w assertions.Verdict) assertions.Verdict {
	if v == assertions.Unsafe || w == assertions.Unsafe {
		return assertions.Unsafe
	}
	if v == "" || w.Worse(v) {
		return w
	}
	return v
}
