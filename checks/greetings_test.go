package checks_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/checks"
)

// silent is a resolver that never answers, and counts its callers.
type silent struct{ waiting, most atomic.Int32 }

func (s *silent) wait(ctx context.Context) error {
	s.most.Store(max(s.most.Load(), s.waiting.Add(1)))
	defer s.waiting.Add(-1)
	<-ctx.Done()
	return ctx.Err()
}

func (s *silent) LookupAddr(ctx context.Context, _ string) ([]string, error) { return nil, s.wait(ctx) }

func (s *silent) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	return nil, s.wait(ctx)
}

func (s *silent) LookupMX(ctx context.Context, _ string) ([]*net.MX, error) { return nil, s.wait(ctx) }

func (s *silent) LookupNS(ctx context.Context, _ string) ([]*net.NS, error) { return nil, s.wait(ctx) }

func (s *silent) LookupTXT(ctx context.Context, _ string) ([]string, error) { return nil, s.wait(ctx) }

// A client that greets a thousand times has no more lookups under way than the twenty greetings that are kept
// need, and does not wait for those that are not.
func TestGreetingsWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resolver := &silent{}
		dns := &checks.DNS{Resolver: resolver, Timeout: 5 * time.Second}
		judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
		s := judge.Open(t.Context(), dns, netip.MustParseAddr("203.0.113.9"), checks.Site{})
		defer s.Close()
		begin := time.Now()
		for n := range 1000 {
			s.Greet(checks.ParseHelo(fmt.Sprintf("mail%d.example.org", n)))
			synctest.Wait()
		}
		if took := time.Since(begin); took > 0 || resolver.most.Load() > 100 {
			t.Errorf("it took %v, with %d lookups at a time", took, resolver.most.Load())
		}
		s.Mail(begin)
		s.Rcpt("")
		facts := s.Facts()
		if last := facts.LastHelo().Name; last != "mail999.example.org" || len(facts.Greetings) != 20 {
			t.Errorf("%d greetings, the last is %s", len(facts.Greetings), last)
		}
	})
}

// Where the HELO was not recorded, the rules about it are skipped, and the others are not.
func TestUnheard(t *testing.T) {
	f := &checks.Facts{Client: netip.MustParseAddr("203.0.113.9"), Unheard: true}
	f.PTR.Status = checks.Missing
	findings := checks.Evaluate(f, nil, "example.net")
	for i, r := range checks.All {
		got := findings[i].Result
		if strings.HasPrefix(r.Name, "helo-") && got != checks.Skip ||
			(r.Name == "ptr-missing") != (got == checks.Fail) {
			t.Errorf("%s: %v", r.Name, got)
		}
	}
	policy := checks.NewPolicy(checks.Strict)
	verdict := policy.Decide(findings)
	if reply := verdict.Reply(f, "", time.Time{}, &checks.Help{}).String(); !strings.HasPrefix(reply, "550 5.7.25 203.0.113.9: ") {
		t.Error(reply)
	}
	if header := verdict.Header("x", f); !strings.Contains(header, "helo=none;") {
		t.Error(header)
	}
}
