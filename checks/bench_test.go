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

// faultless is the decision about such a client.
func faultless(b *testing.B) *checks.Decision {
	judge := &checks.Judge{Exempt: &checks.Exemptions{}, Policy: checks.NewPolicy(checks.Standard)}
	dns := &checks.DNS{Resolver: checkstest.Parse(b, world), Timeout: time.Second}
	client, site := netip.MustParseAddr("203.0.113.1"), checks.Site{Hostname: "mx.example.net"}
	s := judge.Open(context.Background(), dns, client, site)
	defer s.Close()
	s.Greet(checks.ParseHelo("mail.example.org"))
	s.Mail(time.Date(2026, 11, 28, 12, 0, 0, 123e6, time.UTC))
	s.Rcpt("example.net")
	d := s.Decision()
	d.ID, d.QueueID, d.Took = "abcdefghijklmnopqrstuvwxyz", "4b2Xyz", 12345*time.Microsecond
	d.MailFrom, d.RcptTo = "a@example.org", []string{"b@example.net"}
	d.Header = d.Verdict.Header(d.ID, d.Facts)
	return d
}

// BenchmarkLog is the line of such a client in the log.
func BenchmarkLog(b *testing.B) {
	d := faultless(b)
	var buf [1024]byte
	b.ReportAllocs()
	for b.Loop() {
		d.AppendLog(buf[:0], false)
	}
}

// BenchmarkHeader is the header field of its message.
func BenchmarkHeader(b *testing.B) {
	d := faultless(b)
	b.ReportAllocs()
	for b.Loop() {
		d.Verdict.Header(d.ID, d.Facts)
	}
}

// BenchmarkRecord is its line in the decision log.
func BenchmarkRecord(b *testing.B) {
	d := faultless(b)
	b.ReportAllocs()
	buf := make([]byte, 0, 4096)
	for b.Loop() {
		d.Record(false).AppendJSON(buf)
	}
}
