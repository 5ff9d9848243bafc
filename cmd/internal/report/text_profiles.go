package report

import (
	"maps"
	"slices"
)

// profileNote is what is to be known about a load balancer that was asked about by name, or about a scenario without one.
type profileNote struct {
	Name    string
	Source  string
	Assumed []string
	Notes   []string
}

// profileNotes says of each load balancer that was asked about by name what its numbers stand on, what is assumed where
// they say nothing, and of every scenario what else is to be known about it here.
func (p *page) profileNotes() []profileNote {
	var all []profileNote
	told := map[string]bool{}
	for _, s := range p.r.Scenarios {
		about := "profile " + s.Profile
		if s.Profile == "" {
			about = s.Name
		}
		n := profileNote{Name: clean(about)}
		for _, note := range s.Notes {
			if !told[about+note] {
				n.Notes = append(n.Notes, clean(note))
			}
			told[about+note] = true
		}
		first := !told[about] && s.Profile != ""
		told[about] = true
		if !first && len(n.Notes) == 0 {
			continue
		}
		if first {
			n.Source = clean(s.Source)
			for _, setting := range slices.Sorted(maps.Keys(s.Unverified)) {
				n.Assumed = append(n.Assumed, clean(setting+" (unverified): "+s.Unverified[setting]))
			}
		}
		all = append(all, n)
	}
	return all
}

// profiles writes what is to be known about profiles.
func (p *page) profiles() {
	for _, n := range p.profileNotes() {
		p.line("")
		p.line(n.Name)
		if n.Source != "" {
			p.field(2, "source", n.Source)
		}
		for _, assumed := range n.Assumed {
			p.field(2, "assumed", assumed)
		}
		for _, note := range n.Notes {
			p.field(2, "note", note)
		}
	}
}
