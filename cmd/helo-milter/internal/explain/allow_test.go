package explain

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/cmd/helo-milter/internal/config"
)

// judged is a record of a client, as the daemon without a configuration file judges it.
func judged(t *testing.T, zone checkstest.Zone, client, helo string) *checks.Record {
	t.Helper()
	cfg, err := config.Parse("", nil)
	if err != nil {
		t.Fatal(err)
	}
	dns := &checks.DNS{Resolver: zone, Timeout: time.Second}
	addr, _ := netip.ParseAddr(client)
	s := cfg.Judge.Open(t.Context(), dns, addr, checks.Site{})
	defer s.Close()
	s.Greet(checks.ParseHelo(helo))
	s.Mail(time.Date(2026, 11, 29, 23, 30, 0, 0, time.UTC))
	s.Rcpts(nil)
	return s.Decision().Record(false)
}

// exempt reports whether a client is on the allow list of a configuration, which has nothing wrong with it.
func exempt(t *testing.T, toml string, r *checks.Record) bool {
	t.Helper()
	cfg, err := config.Parse("helo-milter.toml", []byte(toml))
	if err != nil {
		t.Errorf("%v in\n%s", err, toml)
		return false
	}
	if w := cfg.Warnings(); len(w) > 0 {
		t.Errorf("%q about\n%s", w, toml)
	}
	return cfg.Judge.Again(r).Exempt == checks.AllowList
}

func TestAllow(t *testing.T) {
	zone := checkstest.Parse(t, `
203.0.113.1        PTR  mail.example.org.
mail.example.org   A    203.0.113.1
203.0.113.2        PTR  b.example.org.
203.0.113.2        PTR  mx.example.org.
b.example.org      A    203.0.113.2
mx.example.org     A    203.0.113.2
203.0.113.3        PTR  forged.example.org.
forged.example.org A    203.0.113.33
203.0.113.4        TXT  "dnstest" "servfail" "PTR"
203.0.113.5        PTR  a_b.example.org.
a_b.example.org    A    203.0.113.5
`)
	for _, tt := range []struct{ client, helo, want string }{
		{"203.0.113.1", "203.0.113.1", `network = "203.0.113.1"|name = "mail.example.org"|helo-bare-ip`},
		{"203.0.113.2", "friend", `network = "203.0.113.2"|name = "b.example.org"|helo-not-fqdn`},
		{"203.0.113.2", "mx.example.org", ""}, // nothing is wrong
		{"203.0.113.3", "friend", `network = "203.0.113.3"|helo-not-fqdn`},
		{"203.0.113.4", "friend", `network = "203.0.113.4"|helo-not-fqdn`}, // no name is known
		{"203.0.113.5", "friend", `network = "203.0.113.5"|name = "a_b.example.org"|helo-not-fqdn`},
		{"203.0.113.6", "friend", `network = "203.0.113.6"|helo-not-fqdn`},
		{"2001:db8::9", "2001:db8::9", `network = "2001:db8::9"|helo-bare-ip`},
		{"192.168.0.1", "friend", ""},
		{"", "friend", ""},
	} {
		r := judged(t, zone, tt.client, tt.helo)
		got, want := Allow(r), ""
		if lines := strings.Split(tt.want, "|"); tt.want != "" {
			rule := lines[len(lines)-1]
			want = "[[allow]]\n" + strings.Join(lines[:len(lines)-1], "\n") +
				"\nuntil = \"mended\"\nreason = \"" + rule + ", 2026-11-29\"\n"
		}
		if got != want {
			t.Errorf("%s HELO %s:\n%swant\n%s", tt.client, tt.helo, got, want)
		}
		if got == "" {
			continue
		}
		if !exempt(t, got, r) || exempt(t, got, judged(t, zone, "203.0.113.99", tt.helo)) {
			t.Errorf("%s HELO %s: the lines are for other clients:\n%s", tt.client, tt.helo, got)
		}
		if r.Exempt = "allow"; Allow(r) != "" {
			t.Errorf("%s is exempt already, and gets\n%s", tt.client, Allow(r))
		}
	}
}

// Of several confirmed names the HELO's is taken, and never one that is no host name, such as the root's.
func TestAllowName(t *testing.T) {
	r := hostile("mail.example.org")
	hosts := []checks.Host{r.Facts.PTR.Values[0], r.Facts.PTR.Values[0], r.Facts.PTR.Values[0]}
	hosts[0].Name, hosts[1].Name = "", "a.example.org"
	r.Facts.PTR.Values = hosts
	for helo, want := range map[string]string{
		"mail.example.org": "mail.example.org", "": "a.example.org", "friend": "a.example.org",
	} {
		r.Helo = checks.ParseHelo(helo)
		if got := Allow(r); !strings.Contains(got, "\nname = \""+want+"\"\n") {
			t.Errorf("HELO %q:\n%s", helo, got)
		}
	}
}

// The lines are a configuration, and one entry, whatever the client, its DNS and the log's writer said.
func TestAllowHostile(t *testing.T) {
	texts := checkstest.Hostile(t)
	for _, name := range []string{
		".", ".org", "..example.org", "a..b", "*", "*.example.org", "A.Example.ORG", "a.example.org.",
		"bücher.example", "xn--", "com", "127.0.0.1", "/.*/", "a\"\n[[allow]]\nname = \".com", "\\", strings.Repeat("a.", 200),
	} {
		texts[name] = name
	}
	for name, text := range texts {
		r := hostile(text)
		got := Allow(r)
		if !exempt(t, got, r) {
			t.Errorf("%s: the client is not exempt by\n%s", name, got)
		}
		other := hostile(text)
		other.Client = r.Client.Next()
		other.Facts.Client = other.Client
		other.Facts.PTR.Values[0].Addrs.Values = []netip.Addr{other.Client}
		if n := strings.Count(got, "\n"); exempt(t, got, other) || n < 4 || n > 5 {
			t.Errorf("%s: more than this client is exempt by\n%s", name, got)
		}
	}
}
