package checks_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

const allowWorld = `
203.0.113.1         PTR  mail.partner.example.org.
mail.partner.example.org A 203.0.113.1
203.0.113.2         TXT  "dnstest" "servfail" "PTR"
203.0.113.3         PTR  dead.partner.example.org.
dead.partner.example.org TXT "dnstest" "servfail" "A"
203.0.113.4         PTR  vm4.example.com.          ; its own lookup cannot confirm a partner's name
vm4.example.com     TXT  "dnstest" "servfail" "A"
203.0.113.5         PTR  old.partner.example.org.
203.0.113.5         TXT  "dnstest" "stale" "PTR"
old.partner.example.org A 203.0.113.5
203.0.113.6         PTR  moved.partner.example.org.
moved.partner.example.org A 203.0.113.66
moved.partner.example.org TXT "dnstest" "stale" "A"
203.0.113.7         PTR  moved7.partner.example.org.
moved7.partner.example.org A 203.0.113.66
198.51.100.2        TXT  "dnstest" "servfail" "PTR"
`

// An entry by name that a failed or stale lookup leaves open never ends in a 5xx: mailcow/mailcow-dockerized#52, mail
// of a known sender that was refused while the resolver failed.
func TestAllowOpen(t *testing.T) {
	for _, tt := range []struct{ client, accept, tempfail string }{
		{"203.0.113.1", "exempt", "exempt"},
		{"203.0.113.2", "accept unsure=allow", "tempfail 451 unsure=allow"},
		{"203.0.113.3", "accept unsure=allow", "tempfail 451 unsure=allow"},
		{"203.0.113.4", "reject 504", "reject 504"},
		{"203.0.113.5", "exempt", "exempt"}, // stale, but it was so
		{"203.0.113.6", "accept unsure=allow", "tempfail 451 unsure=allow"},
		{"203.0.113.7", "reject 504", "reject 504"},
		{"203.0.113.9", "reject 504", "reject 504"},  // no PTR name
		{"198.51.100.2", "reject 504", "reject 504"}, // not in the entry's network
	} {
		for onError, want := range map[checks.Action]string{checks.Off: tt.accept, checks.TempFail: tt.tempfail} {
			judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Careful)}
			judge.Policy.Mode, judge.Policy.OnDNSError = checks.Enforce, onError
			judge.Exempt.Allow(checks.Allow{
				Name: ".partner.example.org", Network: netip.MustParsePrefix("203.0.113.0/24"),
			})
			judge.Exempt.Allow(checks.Allow{Name: ".com", Until: time.Unix(1, 0)}) // expired
			dns := &checks.DNS{Resolver: checkstest.Parse(t, allowWorld), Timeout: time.Second}
			s := judge.Open(t.Context(), dns, netip.MustParseAddr(tt.client), checks.Site{})
			s.Greet(checks.ParseHelo("2130706433"))
			s.Mail(time.Unix(2, 0))
			v := s.Rcpt("")
			words := []string{v.Want()}
			if reply := v.Reply(s.Facts(), "", time.Time{}, &checks.Help{}).String(); reply != "" {
				words = append(words, reply[:3])
			}
			if strings.HasPrefix(v.Unsure()+",", "allow,") {
				words = append(words, "unsure=allow")
			}
			if got := strings.Join(words, " "); got != want {
				t.Errorf("%s, on_dns_error %v: %s, want %s", tt.client, onError, got, want)
			}
			record := s.Decision().Record(false)
			if again := judge.Again(record); again.String() != record.String() {
				t.Errorf("%s: judged again\n%s\nnot\n%s", tt.client, again, record)
			}
			s.Close()
		}
	}
}

// Of very many PTR names those are looked up that can clear the client: the HELO's own, those of its organisation,
// those that the allow list covers. Whatever is said in the session is known by then, also a second name.
func TestForemostPTR(t *testing.T) {
	zone := checkstest.Parse(t, `
z.helo.example.org    A 203.0.113.1
y.other.example.org   A 203.0.113.1
z.allowed.example.net A 203.0.113.1
`)
	names := []string{"z.helo.example.org", "y.other.example.org", "z.allowed.example.net", "a.b", "z.b"}
	for i := range 100 {
		names = append(names, fmt.Sprintf("host%02d.example.com", i))
	}
	zone.Set("203.0.113.1", "PTR", names...)
	dns := &checks.DNS{Resolver: zone, Timeout: time.Second, Allowed: checks.Names{".allowed.example.net"}}
	for _, tt := range []struct{ helos, confirmed string }{
		{"z.helo.example.org", "y.other.example.org z.allowed.example.net z.helo.example.org"},
		{"third.example.org", "y.other.example.org z.allowed.example.net z.helo.example.org"},
		{"friend [203.0.113.1] z.helo.example.org friend", "y.other.example.org z.allowed.example.net z.helo.example.org"},
		{"friend", "z.allowed.example.net"},
		{"", "z.allowed.example.net"},
	} {
		var helos []checks.Helo
		for helo := range strings.FieldsSeq(tt.helos) {
			helos = append(helos, checks.ParseHelo(helo))
		}
		f := checks.Lookup(t.Context(), dns, netip.MustParseAddr("203.0.113.1"), checks.Site{}, helos...)
		if got := strings.Join(f.Confirmed(), " "); got != tt.confirmed || len(f.PTR.Values) != checks.MaxPTR ||
			f.PTRCount != len(names) {
			t.Errorf("HELO %s: %d of %d names, confirmed %s, want %s", tt.helos, len(f.PTR.Values), f.PTRCount, got,
				tt.confirmed)
		}
	}
}

// A network of translated addresses exempts, and so does one of the IPv4 addresses that they stand for.
func TestExemptTranslated(t *testing.T) {
	for network, want := range map[string]string{
		"64:ff9b::/96": "exempt", "203.0.113.0/24": "exempt", "198.51.100.0/24": "accept", "2001:db8::/32": "accept",
	} {
		judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Careful)}
		judge.Exempt.Network(netip.MustParsePrefix(network))
		dns := &checks.DNS{Resolver: checkstest.Parse(t, allowWorld), Timeout: time.Second}
		s := judge.Open(t.Context(), dns, netip.MustParseAddr("64:ff9b::203.0.113.1"), checks.Site{})
		s.Greet(checks.ParseHelo("mail.partner.example.org"))
		s.Mail(time.Time{})
		if v := s.Rcpt(""); v.Want() != want {
			t.Errorf("%s: %s, want %s", network, v.Want(), want)
		}
		s.Close()
	}
}
