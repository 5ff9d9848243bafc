package report

import (
	"maps"
	"slices"
)

// profiles says of each load balancer that was asked about by name what its numbers stand on, what is assumed
// where they say nothing, and of every scenario what else is to be known about it here.
func (p *page) profiles() {
	told := map[string]bool{}
	for _, s := range p.r.Scenarios {
		about := "profile " + s.Profile
		if s.Profile == "" {
			about = s.Name
		}
		var notes []string
		for _, note := range s.Notes {
			if !told[about+note] {
				notes = append(notes, note)
			}
			told[about+note] = true
		}
		first := !told[about] && s.Profile != ""
		told[about] = true
		if !first && len(notes) == 0 {
			continue
		}
		p.line("")
		p.line(clean(about))
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
