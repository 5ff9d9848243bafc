package profiles

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/proxies"
)

// facts are what is documented, read a second time and apart from the catalogue: the idle timeout in seconds
// (0 for never, -1 where no page has a number), the bounds within which it can be set (0 for none documented), the
// manner of expiry and whether keepalives count ("" where nobody knows), what it demands to hear or end first,
// the source ports towards one destination (0 for the operating system's), and what becomes of a backend's own
// connection that leads back to it.
var facts = []struct {
	name              string
	idle, least, most int
	expiry, keepalive string
	demands           string
	ports             int
	hairpin           string
}{
	{"aws-nlb-tcp", 350, 60, 6000, "rst-on-next", "counts", "", 55000, "denied"},
	{"aws-nlb-tcp-nopreserve", 350, 60, 6000, "rst-on-next", "counts", "", 55000, "allowed"},
	{"aws-nlb-tls", 350, 350, 350, "rst-on-next", "counts", "tls=terminate", 55000, ""},
	{"aws-alb", 60, 1, 4000, "", "ignored", "inspection=http", 0, ""},
	{"aws-clb-tcp", 60, 1, 4000, "", "ignored", "", 0, ""},
	{"aws-clb-ssl", 60, 1, 4000, "", "ignored", "tls=terminate", 0, ""},
	{"aws-gwlb", 350, 60, 6000, "", "", "", 0, ""},
	{"aws-nat-gateway", 350, 350, 350, "rst-on-next", "counts", "", 55000, ""},
	{"aws-ec2-conntrack", 432000, 60, 432000, "", "", "", 0, ""},
	{"aws-ec2-conntrack-nitrov6", 350, 60, 432000, "", "", "", 0, ""},
	{"aws-global-accelerator", 340, 340, 340, "", "", "", 0, ""},
	{"aws-network-firewall", 350, 60, 6000, "", "", "", 0, ""},
	{"gcp-passthrough-external", 60, 60, 60, "", "counts", "", 0, ""},
	{"gcp-passthrough-internal", 600, 600, 57600, "", "counts", "", 0, "denied"},
	{"gcp-vpc-conntrack", 600, 600, 600, "silent", "counts", "", 0, ""},
	{"gcp-proxy-nlb-tcp", 30, 1, 2147483647, "", "", "", 0, ""},
	{"gcp-proxy-nlb-ssl", 30, 1, 2147483647, "", "", "tls=terminate", 0, ""},
	{"gcp-alb", 30, 1, 2147483647, "", "ignored", "inspection=http", 0, ""},
	{"gcp-cloud-nat", 1200, 0, 0, "silent", "", "", 64, ""},
	{"gcp-cloud-nat-dynamic", 1200, 0, 0, "silent", "", "", 32, ""},
	{"azure-lb-standard", 240, 240, 6000, "silent", "counts", "", 0, "denied"},
	{"azure-lb-standard-tcpreset", 240, 240, 6000, "rst", "counts", "", 0, "denied"},
	{"azure-lb-basic", 240, 240, 1800, "silent", "counts", "", 0, "denied"},
	{"azure-lb-outbound", 240, 240, 7200, "silent", "counts", "", 1024, ""},
	{"azure-lb-outbound-large", 240, 240, 7200, "silent", "counts", "", 32, ""},
	{"azure-nat-gateway", 240, 240, 7200, "rst-on-next", "counts", "", 64512, ""},
	{"azure-appgw-l4", 240, 240, 1800, "", "", "", 0, ""},
	{"azure-appgw-l4-tls", 240, 240, 1800, "", "", "tls=terminate", 0, ""},
	{"azure-appgw-l7", 240, 240, 1800, "", "", "inspection=http", 0, ""},
	{"do-regional", -1, 0, 0, "", "", "", 0, ""},
	{"do-regional-http", 60, 30, 600, "", "", "inspection=http", 0, ""},
	{"do-regional-network", -1, 0, 0, "", "", "", 0, ""},
	{"hetzner-lb", -1, 0, 0, "", "", "", 0, ""},
	{"oci-nlb", 360, 0, 0, "", "", "", 0, ""},
	{"oci-lb-tcp", 300, 0, 0, "", "ignored", "", 0, ""},
	{"oci-lb-http", 60, 0, 0, "", "ignored", "inspection=http", 0, ""},
	{"alibaba-clb-tcp", 900, 10, 900, "", "", "", 0, ""},
	{"alibaba-nlb", 900, 1, 900, "", "", "", 60000, ""},
	{"alibaba-nlb-tls", 900, 1, 900, "", "", "tls=terminate", 60000, ""},
	{"cloudflare-spectrum", -1, 0, 0, "", "", "", 0, ""},
	{"cloudflare-gateway", 270, 270, 270, "", "ignored", "", 0, ""},
	{"haproxy-tcp", 0, 0, 0, "fin", "ignored", "", 0, "allowed"},
	{"haproxy-inspect", 0, 0, 0, "fin", "ignored", "inspection=client-first", 0, "allowed"},
	{"openstack-octavia", 50, 0, 0, "fin", "ignored", "", 0, ""},
	{"nginx-stream", 600, 0, 0, "fin", "ignored", "", 0, "allowed"},
	{"nginx-stream-preread", 600, 0, 0, "fin", "ignored", "inspection=client-first", 0, "allowed"},
	{"ingress-nginx-tcp", 600, 0, 0, "fin", "ignored", "", 0, "allowed"},
	{"envoy-tcp", 3600, 0, 0, "fin", "ignored", "", 0, "allowed"},
	{"envoy-tls-inspector", 3600, 0, 0, "fin", "ignored", "inspection=client-first", 0, "allowed"},
	{"istio-sidecar-auto", 3600, 0, 0, "fin", "ignored", "inspection=client-first", 0, ""},
	{"istio-sidecar-tcp", 3600, 0, 0, "fin", "ignored", "", 0, ""},
	{"istio-gateway-tcp", 3600, 0, 0, "fin", "ignored", "", 0, ""},
	{"linkerd", -1, 0, 0, "", "ignored", "inspection=client-first", 0, ""},
	{"traefik-tcp", 0, 0, 0, "", "ignored", "", 0, "allowed"},
	{"traefik-tcp-shared", 0, 0, 0, "", "ignored", "inspection=client-first", 0, "allowed"},
	{"linux-ipvs", 900, 1, 0, "", "counts", "", 0, ""},
	{"kube-proxy-ipvs", 900, 1, 0, "", "counts", "", 0, ""},
	{"kube-proxy-iptables", 86400, 1, 0, "", "counts", "", 0, ""},
	{"linux-conntrack", 432000, 1, 0, "", "counts", "", 0, ""},
	{"cilium", 8000, 1, 0, "", "counts", "", 0, ""},
	{"cilium-old", 21600, 1, 0, "", "counts", "", 0, ""},
	{"metallb-l2", 86400, 1, 0, "", "counts", "", 0, ""},
	{"metallb-bgp", 86400, 1, 0, "", "counts", "", 0, ""},
	{"f5-fastl4", 300, 1, 0, "rst", "", "", 0, ""},
	{"f5-tcp", 300, 1, 0, "", "", "", 0, ""},
	{"netscaler-tcp", 9000, 0, 31536000, "rst", "", "", 0, ""},
	{"paloalto", 3600, 1, 15999999, "", "", "", 0, ""},
	{"fortinet", 3600, 0, 0, "silent", "", "", 0, ""},
	{"fortinet-send-rst", 3600, 0, 0, "rst", "", "", 0, ""},
	{"cisco-asa", 3600, 1, 4294800, "silent", "counts", "", 0, ""},
	{"cisco-asa-reset", 3600, 1, 4294800, "rst", "counts", "", 0, ""},
	{"squid-connect", 900, 0, 0, "", "ignored", "inspection=client-first", 0, ""},
	{"ibm-vpc-public-gateway", 240, 240, 240, "", "", "", 64000, ""},
	{"rfc5382-nat", 7440, 7440, 0, "", "", "", 0, "allowed"},
}

// told are the facts that a profile tells in another way, each with its reason.
var told = map[string]string{
	"gcp-passthrough-external idle":    "its expiry is no cut, the next packet is hashed again",
	"gcp-passthrough-internal idle":    "its expiry is no cut, the next packet is hashed again",
	"gcp-passthrough-external ranges":  "it has no idle timeout to set",
	"gcp-passthrough-internal ranges":  "it has no idle timeout to set",
	"gcp-passthrough-external keeps":   "it has no idle timeout to refresh",
	"gcp-passthrough-internal keeps":   "it has no idle timeout to refresh",
	"gcp-passthrough-internal hairpin": "a backend reaches itself and is not swallowed",
	"openstack-octavia idle":           "it times the two sides apart, 50 s each",
	"azure-nat-gateway ports":          "of an address's 64512 ports 50000 lead to one destination",
	"squid-connect demands":            "what crosses the balancer is the inside of the tunnel",
	"fortinet ranges":                  "no bounds are documented",
}

func TestTheCatalogueSaysWhatIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range facts {
		seen[f.name] = true
		p, err := Find(f.name)
		if err != nil {
			t.Error(err)
			continue
		}
		differs := func(fact string, differ bool, got, want any) {
			if _, excused := told[f.name+" "+fact]; differ && !excused {
				t.Errorf("%s: %s is %v, documented is %v", f.name, fact, got, want)
			}
		}
		stated := func(setting string) string {
			for _, s := range p.Stated() {
				if s.Setting == setting {
					return s.Value
				}
			}
			return ""
		}
		switch idle := p.Duration("idle-timeout"); f.idle {
		case -1:
			differs("idle", idle != 0 || !p.Unknown("idle-timeout"), idle, "unknown")
		case 0:
			differs("idle", stated("idle-timeout") != "none", stated("idle-timeout"), "none")
		default:
			differs("idle", idle != time.Duration(f.idle)*time.Second, idle, f.idle)
		}
		if f.idle > 0 && stated("idle-expiry") != f.expiry {
			differs("expiry", f.expiry != "" || !p.Doubtful("idle-expiry"), stated("idle-expiry"), f.expiry)
		}
		if f.idle > 0 && stated("idle-keepalive") != f.keepalive {
			differs("keeps", f.keepalive != "" || !p.Doubtful("idle-keepalive"), stated("idle-keepalive"), f.keepalive)
		}
		var r proxies.Range
		if len(p.Ranges) > 0 {
			r = p.Ranges[0]
		}
		if f.idle > 0 && (f.least > 0 || f.most > 0) {
			got := [2]time.Duration{r.Min, r.Max}
			want := [2]time.Duration{time.Duration(f.least) * time.Second, time.Duration(f.most) * time.Second}
			differs("ranges", got != want, got, want)
		}
		setting, value, _ := strings.Cut(f.demands, "=")
		if f.demands != "" {
			differs("demands", p.Value(setting) != value, p.Value(setting), f.demands)
		} else {
			differs("demands", stated("inspection") != "" || stated("tls") != "", stated("inspection")+stated("tls"), "nothing")
		}
		if got := stated("source-ports"); f.ports > 0 || got != "" {
			differs("ports", got != strconv.Itoa(f.ports), got, f.ports)
		}
		switch got := stated("hairpin"); {
		case f.hairpin != "":
			differs("hairpin", p.Value("hairpin") != f.hairpin, got, f.hairpin)
		case got != "":
			differs("hairpin", true, got, "not documented")
		}
	}
	for _, p := range All() {
		if !seen[p.Name] && p.Name != "haproxy-http" { // the same product in another mode
			t.Errorf("%s has no facts to be compared with", p.Name)
		}
	}
}

func TestEveryProfileStandsOnASource(t *testing.T) {
	for _, p := range All() {
		switch {
		case !nameForm.MatchString(p.Name):
			t.Errorf("%q is no name", p.Name)
		case len(p.Source) < 8 || len(p.Checked) < 8:
			t.Errorf("%s: source %q of %q", p.Name, p.Source, p.Checked)
		}
		for i, d := range p.Unverified {
			if d.Assumed == "" || slices.ContainsFunc(p.Unverified[:i], func(o proxies.Doubt) bool { return o.Setting == d.Setting }) {
				t.Errorf("%s: the doubt about %s says nothing, or is there twice", p.Name, d.Setting)
			}
		}
		if p.Unknown("idle-expiry") != (len(p.Manners()) == 4) && p.Duration("idle-timeout") > 0 {
			t.Errorf("%s: %d manners of an expiry that is unknown: %t", p.Name, len(p.Manners()), p.Unknown("idle-expiry"))
		}
	}
}

// A note that tells what to add is of no use if it cannot be added.
func TestWhatNotesTellToAddCanBeAdded(t *testing.T) {
	for _, p := range All() {
		for _, note := range p.Notes {
			changed := p
			words := strings.Fields(strings.NewReplacer("'", "", ", ", " ").Replace(note))
			for i, w := range words[:max(len(words)-1, 0)] {
				setting, value, ok := strings.Cut(strings.TrimRight(words[i+1], ".:,"), "=")
				if w != "--set" || !ok || value == "N" || value == "…" {
					continue
				}
				var err error
				if changed, err = changed.With(setting, value); err != nil {
					t.Errorf("%s: %v", p.Name, err)
				}
			}
		}
	}
}

func TestFilesAreNamedAfterTheProductTheyHold(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		product := strings.ReplaceAll(strings.TrimSuffix(file, ".go"), "_", "-")
		ast.Inspect(parsed, func(n ast.Node) bool {
			field, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			key, named := field.Key.(*ast.Ident)
			value, literal := field.Value.(*ast.BasicLit)
			if !named || !literal || key.Name != "Name" {
				return true
			}
			found++
			if name, _ := strconv.Unquote(value.Value); name != product && !strings.HasPrefix(name, product+"-") {
				t.Errorf("%s registers %s, which does not begin with %s", file, name, product)
			}
			return true
		})
	}
	if found != len(All()) {
		t.Errorf("found %d names in files, the catalogue has %d", found, len(All()))
	}
}

func TestProfilesSurviveBeingWrittenAndRead(t *testing.T) {
	for _, p := range All() {
		text, err := Render(p)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), p.Name+".yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		q, err := Load(path)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		if q.Name != "my-"+p.Name || q.About != p.About || q.Source != p.Source || q.Checked != p.Checked ||
			!slices.Equal(q.Stated(), p.Stated()) || !slices.Equal(q.Unverified, p.Unverified) || !slices.Equal(q.Notes, p.Notes) {
			t.Errorf("%s reads back as\n%+v, was\n%+v", p.Name, q, p)
		}
	}
}

func TestABadRegistrationStopsTheProgram(t *testing.T) {
	register := func(p proxies.Profile, settings ...string) { made(All(), p, settings...) }
	good := proxies.Profile{Name: "a-good-one", About: "a", Source: "b", Checked: "c"}
	for what, register := range map[string]func(){
		"a name that is taken": func() { p := good; p.Name = "aws-alb"; register(p) },
		"no source":            func() { p := good; p.Source = ""; register(p) },
		"an unknown setting":   func() { register(good, "idle-timeot=5s") },
		"a bad value":          func() { register(good, "idle-timeout=5") },
		"a contradiction":      func() { register(good, "idle-expiry=rst") },
		"an unknown doubt":     func() { p := good; p.Unverified = doubts("idle", "x"); register(p) },
		"a value its own range refuses": func() {
			p := good
			p.Ranges = settable(time.Minute, time.Hour)
			register(p, "idle-timeout=5s")
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was taken", what)
				}
			}()
			register()
		}()
	}
}

func TestAFamilyIsNearerThanASlip(t *testing.T) {
	if _, err := Find("aws-nlb"); err == nil || !strings.Contains(err.Error(), "did you mean aws-nlb-tcp or ") || strings.Contains(err.Error(), "aws-alb") {
		t.Errorf("got %v", err)
	}
}
