package checks_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
)

// The configuration's own entries win over those of a list: first its allow list, then its deny list, then the other's
// allow list. What could not be asked does not take an exemption away.
func TestListed(t *testing.T) {
	tests := []struct {
		story string
		own   string // allow, deny
		list  string
		helos string
		ptr   checks.Status
		want  string
	}{
		{"nobody", "", "", "mail.example.org", checks.Found, ""},
		{"the list", "", "192.0.2.0/24", "mail.example.org", checks.Found, "allow"},
		{"the list, by name", "", ".example.org", "mail.example.org", checks.Found, "allow"},
		{"the list, denied by HELO", "deny helo mail.example.org", "192.0.2.0/24", "mail.example.org", checks.Found, ""},
		{"the list, denied by another HELO of the session", "deny helo bad.example.org", "192.0.2.0/24", "bad.example.org|mail.example.org", checks.Found, ""},
		{"the list, denied by network", "deny network 192.0.2.0/28", "192.0.2.0/24", "mail.example.org", checks.Found, ""},
		{"the list, denied by PTR", "deny ptr .example.org", "192.0.2.0/24", "friend", checks.Found, ""},
		{"the list, and the PTR that is denied could not be asked", "deny ptr .example.org", "192.0.2.0/24", "friend", checks.Failed, "allow"},
		{"the list, others denied", "deny helo bad.example.org", "192.0.2.0/24", "mail.example.org", checks.Found, "allow"},
		{"own entry, denied", "allow 192.0.2.0/24,deny helo mail.example.org", "", "mail.example.org", checks.Found, "allow"},
	}
	for _, test := range tests {
		e, deny := &checks.Exemptions{}, &checks.DenyList{}
		for entry := range strings.SplitSeq(test.own, ",") {
			words := strings.Fields(entry)
			switch {
			case len(words) == 2:
				e.Allow(checks.Allow{Network: netip.MustParsePrefix(words[1])})
			case len(words) == 3:
				var d checks.Deny
				switch words[1] {
				case "network":
					d.Network = netip.MustParsePrefix(words[2])
				case "helo":
					_ = d.Helo.UnmarshalText([]byte(words[2]))
				default:
					_ = d.PTR.UnmarshalText([]byte(words[2]))
				}
				deny.Add(d)
				e.Denied = deny
			}
		}
		switch {
		case strings.HasPrefix(test.list, "."):
			e.List(checks.Allow{Name: test.list})
		case test.list != "":
			e.List(checks.Allow{Network: netip.MustParsePrefix(test.list)})
		}
		client := netip.MustParseAddr("192.0.2.1")
		f := &checks.Facts{Client: client, PTR: checks.Answer[checks.Host]{Status: test.ptr}}
		if test.ptr == checks.Found {
			f.PTR.Values = []checks.Host{{Name: "mail.example.org", Addrs: checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{client}}}}
		}
		for helo := range strings.SplitSeq(test.helos, "|") {
			f.Greetings = append(f.Greetings, checks.Greeting{Helo: checks.ParseHelo(helo)})
		}
		j := &checks.Judge{Exempt: e, Deny: deny, Policy: checks.NewPolicy(checks.Careful)}
		s := j.Reopen(f)
		s.Mail(time.Now())
		if got := s.Rcpt("").Exempt; got != test.want {
			t.Errorf("%s: exempt is %q, want %q", test.story, got, test.want)
		}
	}
}
