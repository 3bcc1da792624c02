package checks_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// BenchmarkSession is a client without a fault, from CONNECT to the header, with a DNS that answers at once.
func BenchmarkSession(b *testing.B) {
	dns := &checks.DNS{Resolver: checkstest.Parse(b, world), Timeout: time.Second}
	judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
	client := netip.MustParseAddr("203.0.113.1")
	b.ReportAllocs()
	for b.Loop() {
		s := judge.Open(context.Background(), dns, client, checks.Site{})
		s.Greet(checks.ParseHelo("mail.example.org"))
		s.Mail(time.Time{})
		s.Rcpt("example.net")
		passing := s.Passing()
		passing.Header("id", s.Facts())
		s.Close()
	}
}

// BenchmarkLog is the line of such a client in the log.
func BenchmarkLog(b *testing.B) {
	judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
	dns := &checks.DNS{Resolver: checkstest.Parse(b, world), Timeout: time.Second}
	client, site := netip.MustParseAddr("203.0.113.1"), checks.Site{Hostname: "mx.example.net"}
	s := judge.Open(context.Background(), dns, client, site)
	defer s.Close()
	s.Greet(checks.ParseHelo("mail.example.org"))
	s.Mail(time.Time{})
	s.Rcpt("example.net")
	d := s.Decision()
	d.ID, d.QueueID = "abcdefghijklmnopqrstuvwxyz", "4b2Xyz"
	d.MailFrom, d.RcptTo = "a@example.org", []string{"b@example.net"}
	var buf [1024]byte
	b.ReportAllocs()
	for b.Loop() {
		d.AppendLog(buf[:0], false)
	}
}
