package proxies

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

var three = []Backend{{Name: "b1"}, {Name: "b2"}, {Name: "b3"}}

func chooser(t *testing.T, method string, seed uint64) Chooser {
	t.Helper()
	p := Balance{method}.Start()
	if c, ok := p.(Chancer); ok {
		c.Chance(rand.New(rand.NewPCG(seed, 1)))
	}
	return p.(Chooser)
}

func TestRoundRobinTakesTurnsOnEachFrontend(t *testing.T) {
	c := chooser(t, "round-robin", 0)
	var got []int
	for _, front := range []string{"a", "a", "b", "a", "a", "b"} {
		got = append(got, c.Choose(Choice{Front: front, Backends: three}))
	}
	if want := []int{0, 1, 0, 2, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLeastConnectionsTakesTheEmptiest(t *testing.T) {
	c := chooser(t, "least-connections", 0)
	for _, choice := range []struct {
		active []int
		want   int
	}{{[]int{0, 0, 0}, 0}, {[]int{1, 0, 0}, 1}, {[]int{2, 3, 1}, 2}, {[]int{5, 4, 4}, 1}} {
		if got := c.Choose(Choice{Backends: three, Active: choice.active}); got != choice.want {
			t.Errorf("with %v: got %d, want %d", choice.active, got, choice.want)
		}
	}
}

func TestSourceHashKeepsAClientAndSpreadsClients(t *testing.T) {
	c := chooser(t, "source-hash", 0)
	seen := make([]int, len(three))
	for n := range 100 {
		choice := Choice{Client: fmt.Sprintf("10.0.0.%d", n), Backends: three}
		first := c.Choose(choice)
		if again := c.Choose(choice); again != first {
			t.Errorf("%s went to %d, then to %d", choice.Client, first, again)
		}
		seen[first]++
	}
	for n, times := range seen {
		if times < 15 { // 33 of 100 expected
			t.Errorf("backend %d got %d of 100 clients", n, times)
		}
	}
}

func TestRandomFollowsItsSeed(t *testing.T) {
	draw := func(seed uint64) (got []int) {
		c := chooser(t, "random", seed)
		for range 300 {
			got = append(got, c.Choose(Choice{Backends: three}))
		}
		return got
	}
	if !slices.Equal(draw(7), draw(7)) {
		t.Error("the same seed chose differently")
	}
	if slices.Equal(draw(7), draw(8)) {
		t.Error("two seeds chose alike")
	}
	seen := make([]int, len(three))
	for _, n := range draw(7) {
		seen[n]++
	}
	for n, times := range seen {
		if times < 70 || times > 130 { // 100 expected, standard deviation 8
			t.Errorf("backend %d was chosen %d of 300 times", n, times)
		}
	}
}

func TestBackendsGetTheirShareOnTheWire(t *testing.T) {
	for _, c := range []struct {
		method string
		want   []int // connections of b1, b2, b3 out of 9; nil for whatever chance gives
	}{
		{"round-robin", []int{3, 3, 3}}, {"least-connections", []int{3, 3, 3}}, {"random", nil},
	} {
		t.Run(c.method, func(t *testing.T) {
			l := start(t, with(t, "balance="+c.method), front{Front{Name: "vip"}, []string{"b1", "b2", "b3"}})
			for n := range 9 {
				l.dial("vip")
				l.tells(fmt.Sprintf("vip#%d", n+1), "begin")
			}
			var got []int
			for _, b := range three {
				n := 0
				for _, e := range l.all() {
					if e.Backend == b.Name {
						n++
					}
				}
				got = append(got, n)
			}
			if c.want != nil && !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	t.Run("source-hash puts one address on one backend", func(t *testing.T) {
		l := start(t, with(t, "balance=source-hash"), front{Front{Name: "vip"}, []string{"b1", "b2", "b3"}})
		seen := map[string]bool{}
		for n := range 5 {
			l.dial("vip")
			l.tells(fmt.Sprintf("vip#%d", n+1), "begin")
		}
		for _, e := range l.all() {
			seen[e.Backend] = true
		}
		if len(seen) != 1 {
			t.Errorf("one address went to %d backends", len(seen))
		}
	})
	t.Run("least-connections counts again when connections end", func(t *testing.T) {
		l := start(t, with(t, "balance=least-connections"), front{Front{Name: "vip"}, []string{"b1", "b2"}})
		l.dial("vip")
		first := l.reached("b1")
		l.tells("vip#1", "begin")
		l.dial("vip")
		l.reached("b2")
		first.SetLinger(0)
		first.Close()
		l.event(KindEnd)
		l.dial("vip")
		l.reached("b1")
	})
}
