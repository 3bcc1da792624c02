package door_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
)

// Whoever asks by mail hears of an error of ours, too, once it is reported; other mail goes on, and the record says why.
func TestMailboxAfterPanic(t *testing.T) {
	panics, decided := 0, ""
	cfg := &door.Config{
		Judge: &checks.Judge{
			Policy: checks.NewPolicy(checks.Careful), Exempt: &checks.Exemptions{}, Mailbox: "helocheck@example.net",
		},
		DNS: &checks.DNS{
			Resolver: checkstest.Parse(t, `203.0.113.1 TXT "dnstest" "panic" "PTR"`), Timeout: time.Second,
		},
		Log:     slog.New(slog.DiscardHandler),
		Decided: func(d *checks.Decision) { decided = d.Verdict.Unsure() + " " + strings.Join(d.RcptTo, " ") },
		OnPanic: func(any, []byte) { panics++ },
	}
	var transactions door.Transactions
	s := door.New(cfg, &transactions)
	s.Connect(netip.MustParseAddr("203.0.113.1"), "mx.example.net")
	s.Greet("mail.example.org")
	s.Mail("alice@example.org")
	for range 2 {
		reply := s.Rcpt("<HeloCheck@example.net>")
		if reply == nil || reply.Code.Reply != 451 || !strings.Contains(reply.String(), "Id: "+s.ID) {
			t.Errorf("%s", reply)
		}
	}
	if s.Rcpt("bob@example.net") != nil {
		t.Error("other mail does not go on")
	}
	s.Leave()
	if panics != 1 || decided != "internal <HeloCheck@example.net> <HeloCheck@example.net> bob@example.net" {
		t.Errorf("%d panics, decided %s", panics, decided)
	}
}
