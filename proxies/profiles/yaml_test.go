package profiles

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/written"
)

func TestAProfileInYAMLIsRead(t *testing.T) {
	p, err := Parse("my-lb.yaml", []byte(`# the balancer in our cellar
name: my-lb
about: what stands
  in the cellar
source: its configuration
checked: today
settings:
  idle-timeout: 75s
  idle-expiry: rst   # seen with tcpdump
  max-lifetime: none
unverified:
  idle-keepalive: taken for a proxy
notes:
  - It hums.
`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "my-lb" || p.About != "what stands in the cellar" || p.Source != "its configuration" || p.Checked != "today" {
		t.Errorf("got %+v", p)
	}
	want := []proxies.Stated{{Setting: "idle-timeout", Value: "75s"}, {Setting: "idle-expiry", Value: "rst"}, {Setting: "max-lifetime", Value: "none"}}
	if d := cmp.Diff(want, p.Stated()); d != "" {
		t.Error(d)
	}
	if !p.Doubtful("idle-keepalive") || !p.Unknown("idle-keepalive") || p.Unknown("idle-expiry") || len(p.Notes) != 1 {
		t.Errorf("got %+v and %q", p.Unverified, p.Notes)
	}
}

func TestAProfileExtendsOneOfTheCatalogue(t *testing.T) {
	p, err := Parse("x.yaml", []byte("name: ours\nextends: aws-nlb-tcp\nsettings:\n  idle-timeout: 2h\n  balance: round-robin\n"))
	if err != nil {
		t.Fatal(err)
	}
	base, _ := Find("aws-nlb-tcp")
	switch {
	case p.Name != "ours" || p.Source != base.Source || p.About != base.About:
		t.Errorf("got %q, %q, %q", p.Name, p.About, p.Source)
	case p.Value("idle-timeout") != "2h" || p.Value("idle-expiry") != "rst-on-next":
		t.Errorf("got %v", p.Stated())
	case p.Doubtful("balance") || !base.Doubtful("balance"):
		t.Error("what the file says of balance is no doubt of the catalogue's any more, there alone")
	case !strings.Contains(p.Beyond("idle-timeout"), "60s to 1h40m"):
		t.Errorf("got %q", p.Beyond("idle-timeout"))
	}
	if _, err := Parse("x.yaml", []byte("name: ours\nextends: aws-nlb-tcp\nsettings:\n  idle-timeout: none\n")); err != nil {
		t.Errorf("to turn off the timeout of an extended profile is no contradiction: %v", err)
	}
}

func TestWhatIsWrongWithAProfileIsSaidExactly(t *testing.T) {
	const head = "name: my-lb\nsettings:\n"
	for _, c := range []struct{ what, text, want string }{
		{"an unknown setting", "name: my-lb\nabout: a\nsource: b\n\n\nsettings:\n  idle-timout: 60s\n", `my-lb.yaml:7:3: settings.idle-timout: unknown setting "idle-timout": did you mean idle-timeout?`},
		{"a setting like no other", head + "  zzzzz: 60s\n", `my-lb.yaml:3:3: settings.zzzzz: unknown setting "zzzzz" (settings: idle-timeout, `},
		{"a setting in another spelling", head + "  idle_timeout: 60s\n", `did you mean idle-timeout?`},
		{"an unknown key", "nam: my-lb\n", `my-lb.yaml:1:1: nam: unknown key "nam": did you mean name?`},
		{"a key without a name near it", head + "  idle-timeout: 1s\nvendor: me\n", `my-lb.yaml:4:1: vendor: unknown key "vendor" (keys: name, about, `},
		{"a bad value", head + "  idle-timeout: 30\n", "my-lb.yaml:3:17: settings.idle-timeout: idle-timeout=30: a duration needs a unit: 30s?"},
		{"a bad word", head + "  idle-timeout: 30s\n  idle-expiry: drop\n", "my-lb.yaml:4:16: settings.idle-expiry: idle-expiry=drop (allowed: fin, rst, silent, rst-on-next)"},
		{"a list for a value", head + "  idle-timeout: [1s]\n", "my-lb.yaml:3:17: settings.idle-timeout: want a plain value, this is a list"},
		{"a mapping for a value", head + "  idle-timeout:\n    a: 1s\n", "settings.idle-timeout: want a plain value, this is a mapping"},
		{"no value", head + "  idle-timeout:\n", "my-lb.yaml:3:16: settings.idle-timeout: has no value"},
		{"the same setting twice", head + "  idle-timeout: 1s\n  idle-timeout: 2s\n", "my-lb.yaml:4:3: settings.idle-timeout: is given twice, first in line 3"},
		{"the same key twice", "name: a\nname: b\n", "my-lb.yaml:2:1: name: is given twice, first in line 1"},
		{"settings that contradict each other", head + "  idle-expiry: rst\n", "my-lb.yaml:2:1: settings: idle-expiry=rst has no effect without an idle timeout"},
		{"settings in a list", "name: my-lb\nsettings:\n  - idle-timeout=5s\n", "my-lb.yaml:3:3: settings: want a mapping from settings to values"},
		{"no settings", "name: my-lb\n", "my-lb.yaml:1:1: settings: is missing"},
		{"no name", "settings:\n  idle-timeout: 5s\n", "my-lb.yaml:1:1: name: is missing"},
		{"a name of the catalogue", "name: aws-nlb-tcp\nextends: aws-nlb-tcp\n", "my-lb.yaml:1:7: name: aws-nlb-tcp is a load balancer of the catalogue"},
		{"a name that is none", "name: My LB\nextends: aws-nlb-tcp\n", `my-lb.yaml:1:7: name: "My LB" will not do`},
		{"a base that does not exist", "name: a\nextends: aws-nlb-tpc\n", `my-lb.yaml:2:10: extends: unknown profile "aws-nlb-tpc": did you mean aws-nlb-tcp`},
		{"a doubt about nothing", "name: a\nextends: aws-nlb-tcp\nunverified:\n  idle: x\n", `my-lb.yaml:4:3: unverified.idle: unknown setting "idle"`},
		{"a doubt without a word", "name: a\nextends: aws-nlb-tcp\nunverified:\n  idle-timeout:\n", "my-lb.yaml:4:16: unverified.idle-timeout: has no value"},
		{"doubts in a list", "name: a\nextends: aws-nlb-tcp\nunverified: [idle-expiry]\n", "my-lb.yaml:3:13: unverified: want a mapping"},
		{"notes that are no list", "name: a\nextends: aws-nlb-tcp\nnotes: it hums\n", `my-lb.yaml:3:8: notes: want a list of sentences; this is the value "it hums"`},
		{"a note that is no sentence", "name: a\nextends: aws-nlb-tcp\nnotes: [[x]]\n", `my-lb.yaml:3:9: notes[0]: want a plain value, this is a list`},
		{"an alias", head + "  idle-timeout: &a 5s\n  max-lifetime: *a\n", "my-lb.yaml:3:17: settings.idle-timeout: anchors and aliases are not understood here"},
		{"a tag", head + "  idle-timeout: !!binary NXM=\n", "settings.idle-timeout: the tag !!binary is not understood here"},
		{"a key that is no word", "? [a]\n: b\n", "my-lb.yaml:1:3: a key is a word, this is a list"},
		{"a list", "- a\n", "my-lb.yaml:1:1: a profile is a mapping of keys (name, about"},
		{"a word", "hello\n", `my-lb.yaml:1:1: a profile is a mapping of keys (name, about, source, checked, extends, settings, unverified, notes), this is the value "hello"`},
		{"no YAML", "name: [\n", "my-lb.yaml:2:1: not YAML: "},
		{"a tab", "name: a\nsettings:\n\tidle-timeout: 5s\n", "my-lb.yaml:3:1: not YAML: "},
		{"nothing", "", "my-lb.yaml: the file is empty"},
		{"comments alone", "# later\n", "my-lb.yaml: there is nothing in the file but comments"},
		{"null", "~\n", "my-lb.yaml: there is nothing in the file but comments"},
		{"two documents", "name: a\n---\nname: b\n", "a second document begins here"},
		{"far too much", strings.Repeat("# hello\n", written.Largest/8+1), "my-lb.yaml: too large for a profile: more than 256 KiB"},
		{"bytes that are no text", "name: \xff\xfe\n", "my-lb.yaml:"},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := Parse("my-lb.yaml", []byte(c.text))
			if err == nil {
				t.Fatal("was taken")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
		})
	}
}

func TestEverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	_, err := Parse("a.yaml", []byte("nme: a\nsettings:\n  idle-timeot: 5s\n  stall: 3\n"))
	if err == nil || len(strings.Split(err.Error(), "\n")) != 4 {
		t.Errorf("got %v, want the key, the setting, the value and the missing name", err)
	}
}

// Each alias multiplies the one before by nine: expanded, this would be gigabytes.
func TestAliasesThatMultiplyAreRefusedQuickly(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", ") + "]\n"
	}
	began := time.Now()
	if _, err := Parse("bomb.yaml", []byte(bomb)); err == nil {
		t.Error("was taken")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestNestingWithoutEndIsRefused(t *testing.T) {
	if _, err := Parse("deep.yaml", []byte("name: "+strings.Repeat("[", 100_000))); err == nil {
		t.Error("was taken")
	}
}

func TestAProfileIsLoadedByNameOrByPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lb.yml")
	if err := os.WriteFile(path, []byte("name: mine\nsettings: {idle-timeout: 5s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := Load(path); err != nil || p.Name != "mine" {
		t.Errorf("by path: got %q, %v", p.Name, err)
	}
	if p, err := Load("aws-nlb-tls"); err != nil || p.Name != "aws-nlb-tls" {
		t.Errorf("by name: got %q, %v", p.Name, err)
	}
	for given, want := range map[string]string{
		"openstack-octvia":    `unknown profile "openstack-octvia": did you mean openstack-octavia?`,
		"":                    `unknown profile "" (profiles: `,
		filepath.Dir(path):    "is a directory",
		path + "l":            "no such file",
		"./aws-nlb-tcp":       "no such file",
		"/dev/zero":           "too large for a profile",
		"no/such/place.yaml":  "no such file",
		"not-in-this-dir.yml": "no such file",
	} {
		if _, err := Load(given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", given, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "name: a\nextends: aws-nlb-tcp\n", "name: a\nsettings:\n  idle-timeout: 5s\n  idle-expiry: rst\n",
		"name: a\nsettings: &x {stall: 3}\nnotes: [*x]\n", "? {a: b}\n: c\n", "<<: {name: a}\n", "%YAML 1.1\n---\nname: a\n...\n", "name: \"\\u0000\"\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("fuzz.yaml", text)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if strings.HasPrefix(line, "fuzz.yaml:") {
					return
				}
			}
			t.Fatalf("the error does not say where: %v", err)
		}
		// What was taken can be written and says the same when it is read again.
		again, err := Render(p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := Parse("again.yaml", again)
		if err != nil && len(p.Name) < 60 { // "my-" in front may make a name too long
			t.Fatalf("%v\n%s", err, again)
		}
		if d := cmp.Diff(p.Stated(), q.Stated()); err == nil && d != "" {
			t.Fatal(d)
		}
	})
}
