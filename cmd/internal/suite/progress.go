package suite

import (
	"fmt"
	"time"
)

// announce says before anything starts how long it will take.
func (r *run) announce(scenarios []scenario) {
	// What a lab takes beside its waiting: starting, forming, settling, reading back.
	const besides = 15 * time.Second
	var longest, together time.Duration
	shared := map[string]bool{}
	side := (r.room.always + r.all) / 2 // of the room that depends on the processors, half
	for _, s := range scenarios {
		longest = max(longest, s.length()+besides)
		for _, l := range s.labs {
			if r.plan.cells != nil {
				alike := l.likeness()
				if shared[alike] {
					continue
				}
				shared[alike] = true
			}
			together += time.Duration(int64(l.length()+besides) * min(l.weight(), side) * int64(l.starts) / side)
		}
	}
	r.mu.Lock()
	p := r.progress("plan", "")
	r.mu.Unlock()
	p.Text = fmt.Sprintf("%d scenarios, about %s", len(scenarios), max(longest, together).Round(10*time.Second))
	if len(scenarios) == 1 {
		p.Text = "1 scenario, about " + longest.Round(10*time.Second).String()
	}
	r.say(p)
}

func (r *run) started(s scenario) {
	r.mu.Lock()
	again := r.running[s.name]
	r.running[s.name] = true
	p := r.progress("started", s.name)
	r.mu.Unlock()
	if !again {
		r.say(p)
	}
}

func (r *run) finished(v verdict) {
	r.mu.Lock()
	delete(r.running, v.scenario.name)
	r.done++
	p := r.progress("finished", v.scenario.name)
	r.mu.Unlock()
	p.Verdict = v.worst()
	if because := v.because(); len(because) > 0 {
		p.Text = because[0]
	}
	r.say(p)
}

func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	p := r.progress("note", "")
	r.mu.Unlock()
	p.Text = fmt.Sprintf(format, args...)
	r.say(p)
}

func (r *run) progress(kind, scenario string) Progress {
	return Progress{At: time.Since(r.began), Kind: kind, Scenario: scenario, Done: r.done, Total: len(r.plan.scenarios), Running: len(r.running)}
}
