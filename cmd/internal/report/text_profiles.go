package report

import (
	"maps"
	"slices"
)

// profiles says of each load balancer that was asked about by name what its numbers stand on, what is assumed
// where they say nothing, and what else is to be known about it here.
func (p *page) profiles() {
	told := map[string]bool{}
	for _, s := range p.r.Scenarios {
		if s.Profile == "" {
			continue
		}
		var notes []string
		for _, note := range s.Notes {
			if !told[s.Profile+note] {
				notes = append(notes, note)
			}
			told[s.Profile+note] = true
		}
		first := !told[s.Profile]
		told[s.Profile] = true
		if !first && len(notes) == 0 {
			continue
		}
		p.line("")
		p.line("profile " + clean(s.Profile))
		if first {
			if s.Source != "" {
				p.field(2, "source", s.Source)
			}
			for _, setting := range slices.Sorted(maps.Keys(s.Unverified)) {
				p.field(2, "assumed", setting+" (unverified): "+s.Unverified[setting])
			}
		}
		for _, note := range notes {
			p.field(2, "note", note)
		}
	}
}
