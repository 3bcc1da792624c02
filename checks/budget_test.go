package checks_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// servers are DNS servers with a cache before them: what was asked once costs no budget.
type servers struct {
	checkstest.Zone
	mu    sync.Mutex
	asked map[string]bool
}

// counted is servers as one budget sees them.
func (s *servers) counted(budget *checks.Budget) gate {
	return gate{s.Zone, func(qtype, name string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		key := qtype + " " + name
		if s.asked[key] {
			return nil
		}
		if !budget.Take() {
			return &net.DNSError{Err: "budget of this session is used up", Name: name, IsTemporary: true}
		}
		s.asked[key] = true
		return nil
	}}
}

// gate is a zone that a question comes to if may has no error.
type gate struct {
	checkstest.Zone
	may func(qtype, name string) error
}

func (g gate) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if err := g.may("PTR", addr); err != nil {
		return nil, err
	}
	return g.Zone.LookupAddr(ctx, addr)
}

func (g gate) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if err := g.may(network, host); err != nil {
		return nil, err
	}
	return g.Zone.LookupNetIP(ctx, network, host)
}

func (g gate) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	if err := g.may("MX", name); err != nil {
		return nil, err
	}
	return g.Zone.LookupMX(ctx, name)
}

func (g gate) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	if err := g.may("NS", name); err != nil {
		return nil, err
	}
	return g.Zone.LookupNS(ctx, name)
}

func (g gate) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if err := g.may("TXT", name); err != nil {
		return nil, err
	}
	return g.Zone.LookupTXT(ctx, name)
}

// bomb adds names whose SPF record makes more than a hundred questions about others: 10 mx
// of 10 hosts each. It returns them with | between.
func bomb(z checkstest.Zone, n int) string {
	var names []string
	for i := range n {
		name := fmt.Sprintf("bomb%d.example.org", i)
		record := "v=spf1"
		for m := range 10 {
			mx := fmt.Sprintf("m%d.%s", m, name)
			record += " mx:" + mx
			for h := range 10 {
				z[("MX " + mx + ".")] = append(z["MX "+mx+"."], fmt.Sprintf("%d h%d.victim%d.example.com.", h, h, m))
			}
		}
		z.Set(name, "TXT", record+" -all")
		names = append(names, name)
	}
	return strings.Join(names, "|")
}

// Whatever a session says, it has us ask 60 questions, and what it says first does not hide what follows.
func TestSessionBudget(t *testing.T) {
	zone := checkstest.Parse(t, world)
	bombs := bomb(zone, 19)
	for n := range 10 {
		name := fmt.Sprintf("host%d.example.com", n)
		zone.Add(t, fmt.Sprintf("203.0.113.200 PTR %s.\n%s A 203.0.113.%d", name, name, 191+n))
		zone.Add(t, fmt.Sprintf("i%d.example.com TXT \"v=spf1 ip4:192.0.2.%d ?all\"", n, n))
		zone.Add(t, fmt.Sprintf("a.broken%d.com TXT \"dnstest\" \"servfail\"", n))
	}
	for n := range 12 { // whose owner claims a brand's names, too
		zone.Add(t, fmt.Sprintf("203.0.113.201 PTR a%d.example.com.\n203.0.113.201 PTR p%d.microsoft.com.", n, n))
	}
	includes := "v=spf1"
	for n := range 10 {
		includes += fmt.Sprintf(" include:i%d.example.com", n)
	}
	zone.Set("great.example.com", "TXT", includes+" -all")
	zone.Set("great.example.com", "A", "203.0.113.99")
	zone.Set("listed.com.dbl.example", "A", "127.0.0.2")
	zone.Set("box.listed.com", "A", "203.0.113.98")
	zone.Set("seznam.cz", "TXT", "v=spf1 ?all")
	open := ""
	for n := range 19 {
		open += fmt.Sprintf("relay%d.seznam.cz|", n)
	}
	open += "bob.microsoft.com"
	broken := "a.broken0.com|a.broken1.com|a.broken2.com|a.broken3.com|a.broken4.com"

	for _, tt := range []struct{ story, client, helos, want string }{
		{"a liar", "203.0.113.9", "bob.microsoft.com", "reject helo-brand-no-ptr"},
		{"after broken domains", "203.0.113.9", broken + "|bob.microsoft.com", "reject helo-brand-no-ptr"},
		{"third of five", "203.0.113.9", "a.net|b.net|bob.microsoft.com|c.net|d.net", "reject helo-brand-no-ptr"},
		{
			"third of five bombs", "203.0.113.9",
			strings.Replace(bombs[:89], "bomb2.example.org", "bob.microsoft.com", 1),
			"reject helo-brand-no-ptr",
		},
		{"after all bombs", "203.0.113.9", bombs + "|bob.microsoft.com", "reject helo-brand-no-ptr"},
		{"before them", "203.0.113.9", "bob.microsoft.com|" + bombs, "reject helo-brand-no-ptr"},
		{"with a PTR name elsewhere", "203.0.113.11", bombs + "|bob.microsoft.com", "reject helo-forged-brand"},
		{"as us", "203.0.113.9", bombs + "|other.example.net", "reject helo-own-name"},
		{
			"on a block list, after two bombs", "203.0.113.9", "bomb0.example.org|bomb1.example.org|box.listed.com",
			"reject helo-listed",
		},
		{"a bomb, which has no address and no MX", "203.0.113.9", "bomb0.example.org", "accept"},
		{"only bombs", "203.0.113.1", bombs, "accept"},
		{"a brand's relay, by its record", "203.0.113.84", "relay.qq.com", "accept"},
		{"a brand's relay, after bombs", "203.0.113.84", bombs + "|relay.qq.com", "accept"},
		{"after names of a brand that leaves them open", "203.0.113.9", open, "reject helo-brand-no-ptr"},
		{
			"as us, after such", "203.0.113.9",
			strings.Replace(open, "bob.microsoft.com", "other.example.net", 1), "reject helo-own-name",
		},
		{"before others, beyond 20", "203.0.113.9", bombs + "|bob.microsoft.com|a.net|b.net", "reject helo-brand-no-ptr"},
		{"ten PTR names are always looked up", "203.0.113.200", bombs, "accept"},
		{"more PTR names than fit", "203.0.113.201", bombs + "|bob.microsoft.com", "reject helo-forged-brand"},
		{"more of them, and no bombs", "203.0.113.201", "a.net|bob.microsoft.com", "reject helo-forged-brand"},
		{"a long record fits", "203.0.113.99", "great.example.com", "accept"},
	} {
		all := &servers{Zone: zone, asked: map[string]bool{}}
		dns := &checks.DNS{
			Resolver: zone, Timeout: time.Second, Lists: []string{"dbl.example"},
			ForClient: func(_ netip.Addr, b *checks.Budget) checks.Resolver { return all.counted(b) },
		}
		judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
		site := checks.Site{Names: checks.Names{".example.net"}}
		s := judge.Open(t.Context(), dns, netip.MustParseAddr(tt.client), site)
		for helo := range strings.SplitSeq(tt.helos, "|") {
			s.Greet(checks.ParseHelo(helo))
			s.Mail(time.Time{}) // a transaction with each
			s.Rcpt("example.net")
		}
		s.Mail(time.Time{})
		verdict := s.Rcpt("example.net")
		got := verdict.Want()
		if verdict.Action > checks.Mark {
			got += " " + verdict.Rule.Name
		}
		if got != tt.want || len(all.asked) > 60 {
			t.Errorf("%s: %s with %d questions, want %s", tt.story, got, len(all.asked), tt.want)
		}
		f := s.Facts()
		if slices.ContainsFunc(f.PTR.Values, func(h checks.Host) bool { return h.Addrs.Status == checks.Failed }) {
			t.Errorf("%s: a PTR name was not looked up", tt.story)
		}
		bombed := strings.HasPrefix(tt.helos, "bomb")
		switch failed, unsure := verdict.Failed(), verdict.Unsure(); {
		case len(f.Greetings) > 1:
		case bombed && (!strings.Contains(failed, "helo-unresolvable") || unsure != "helo-spf"),
			!bombed && strings.Contains(unsure, "helo-"):
			t.Errorf("%s: fails %s, unsure %s", tt.story, failed, unsure)
		}
		s.Close()
	}
}
