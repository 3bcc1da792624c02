package checks_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

const mailbox = "helocheck@example.net"

// asker is a judge with a mailbox, and a session of a client in which mail has begun. A client "+ADDRESS" logs in.
func asker(t *testing.T, mode checks.Mode, client, helos string) (*checks.Judge, *checks.Session) {
	t.Helper()
	judge := &checks.Judge{
		Exempt: &checks.Exemptions{Private: true, Authenticated: true}, Policy: checks.NewPolicy(checks.Standard),
		Mailbox: mailbox,
	}
	judge.Policy.Mode = mode
	judge.Policy.Actions[checks.Index("helo-rcpt-domain")] = checks.Reject
	judge.Exempt.Allow(checks.Allow{Name: ".example.com"})
	dns := &checks.DNS{Resolver: checkstest.Parse(t, world), Timeout: time.Second}
	address, login := strings.CutPrefix(client, "+")
	var addr netip.Addr
	if address != "" {
		addr = netip.MustParseAddr(address)
	}
	s := judge.Open(t.Context(), dns, addr, checks.Site{Hostname: "mx.example.net"})
	t.Cleanup(s.Close)
	for helo := range strings.SplitSeq(helos, "|") {
		if helo != "-" {
			s.Greet(checks.ParseHelo(helo))
		}
	}
	s.Mail(time.Unix(1000, 0))
	if login {
		s.LoggedIn()
	}
	return judge, s
}

const (
	fine   = "550 5.2.0 "
	later  = "451 4.4.3 "
	setIt  = "Set the mail server's HELO name to its full public host name, such as mail.example.org."
	setPTR = "Ask whoever controls the address, usually the hosting or access provider, to set its PTR record to the " +
		"mail server's host name."
	agree = "Make the HELO name, the PTR record of the address and the address record of that name agree."
)

// What is said to those who ask by mail: the code, and the text without the id at its end, in one line.
func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		mode               checks.Mode
		client, helo, want string
	}{
		{
			checks.Enforce, "203.0.113.1", "mail.example.org", fine + `HELO "mail.example.org" from 203.0.113.1. ` +
				"Reverse DNS: mail.example.org, confirmed. HELO name: proven by the DNS. All is well.",
		},
		{
			checks.Enforce, "203.0.113.1", "0x7f000001", fine + `HELO "0x7f000001" from 203.0.113.1. ` +
				"Reverse DNS: mail.example.org, confirmed. Mail is refused here. What fails: helo-numeric. " +
				"helo-numeric: the HELO is a number or a disguised IP address. " + setIt,
		},
		{
			checks.Observe, "203.0.113.1", "0x7f000001", fine + `HELO "0x7f000001" from 203.0.113.1. ` +
				"Reverse DNS: mail.example.org, confirmed. Mail is accepted here for now, but would be refused. " +
				"What fails: helo-numeric. helo-numeric: the HELO is a number or a disguised IP address. " + setIt,
		},
		{
			checks.Enforce, "203.0.113.9", "friend", fine + `HELO "friend" from 203.0.113.9. Reverse DNS: none. ` +
				"Mail is accepted here; others may refuse it. What fails: helo-not-fqdn, ptr-missing. " +
				"helo-not-fqdn: the HELO name is a single label, not a full host name. " + setIt +
				" ptr-missing: the client's address has no PTR record. " + setPTR,
		},
		{
			checks.Enforce, "203.0.113.9", "-", fine + "No HELO from 203.0.113.9. Reverse DNS: none. Mail is refused " +
				"here. What fails: helo-missing, ptr-missing. helo-missing: no HELO or EHLO was sent before MAIL. Send " +
				"EHLO with your full host name first. ptr-missing: the client's address has no PTR record. " + setPTR,
		},

		// A failed lookup is no fault, and what may yet be well is asked again: only a fault that refuses is final.
		{
			checks.Enforce, "203.0.113.4", "mail.example.org", later + `HELO "mail.example.org" from 203.0.113.4. ` +
				"Reverse DNS: could not be asked. Mail is accepted here; others may refuse it. What fails: " +
				"helo-ip-mismatch. helo-ip-mismatch (203.0.113.1, 2001:db8::1): the HELO name does not resolve to the " +
				"client's address. " + agree + " Could not be asked, since DNS lookups failed; try again later: " +
				"helo-ptr-mismatch, helo-unverified, ptr-missing, ptr-unconfirmed, ptr-malformed, ptr-reserved, " +
				"ptr-generic, ptr-dynamic, ptr-many.",
		},
		{
			checks.Enforce, "203.0.113.1", "gone.example.org", later + `HELO "gone.example.org" from 203.0.113.1. ` +
				"Reverse DNS: mail.example.org, confirmed. HELO name: proven by the DNS. Nothing is wrong, as far as it " +
				"is known. Could not be asked, since DNS lookups failed; try again later: helo-unresolvable, " +
				"helo-ip-mismatch.",
		},

		// Exempt clients hear why, and what can be said without a lookup.
		{
			checks.Enforce, "192.168.7.7", "0x7f000001", fine + `HELO "0x7f000001" from 192.168.7.7. Mail from this ` +
				"client is not judged: its address is private. Without that: Mail is refused here. What fails: " +
				"helo-numeric. helo-numeric: the HELO is a number or a disguised IP address. " + setIt,
		},
		{
			checks.Enforce, "+203.0.113.9", "mx.example.net", fine + `HELO "mx.example.net" from 203.0.113.9. Mail from ` +
				"this client is not judged: it has logged in. Nothing is wrong with its HELO as such; nothing was looked up.",
		},
		{
			checks.Observe, "", "mail.example.org", fine + `HELO "mail.example.org" from an unknown address. Mail from ` +
				"this client is not judged: the mail server reports no address of it. Nothing is wrong with its HELO as " +
				"such; nothing was looked up.",
		},
		{ // the allow list has its name, so it was looked up
			checks.Enforce, "203.0.113.11", "notes.example.com", fine + `HELO "notes.example.com" from 203.0.113.11. ` +
				"Reverse DNS: notes.example.com, confirmed. HELO name: proven by the DNS. Mail from this client is not " +
				"judged: this server exempts it. Without that: All is well.",
		},
	} {
		_, s := asker(t, tt.mode, tt.client, tt.helo)
		reply := s.Answer("4afq7n")
		code, _, _ := strings.Cut(strings.Replace(reply.String(), "-", " ", 1), "HELO")
		got := code[:len(fine)] + strings.Join(reply.Lines, " ")
		if got != tt.want+" Id: 4afq7n" {
			t.Errorf("%s HELO %s\n got %s\nwant %s Id: 4afq7n", tt.client, tt.helo, got, tt.want)
		}
	}
}

// After an error of ours nothing is known, and that is said.
func TestAnswerInternal(t *testing.T) {
	_, s := asker(t, checks.Enforce, "203.0.113.9", "friend")
	s.Abandon()
	if got := s.Answer("4afq7n").String(); !strings.HasPrefix(got, "451-4.3.0 Not judged: an internal error.") {
		t.Error(got)
	}
}

// Whatever the client says, the answer is a reply by RFC 5321, and its end is never cut: not with many faults, and not
// where all is one line.
func TestAnswerFits(t *testing.T) {
	line := regexp.MustCompile(`^[ -~]{1,400}$`)
	helos := []string{"203.0.113.9|example.net|friend|x_y.example.net|[1.2.3]|localhost"}
	for _, text := range checkstest.Hostile(t) {
		helos = append(helos, text, "203.0.113.9|"+text)
	}
	for _, helo := range helos {
		judge, s := asker(t, checks.Enforce, "203.0.113.7", helo)
		for i := range judge.Policy.Actions {
			judge.Policy.Actions[i] = checks.Mark
		}
		reply := s.Answer("4afq7n")
		if len(reply.Lines) > 5 || slices.ContainsFunc(reply.Lines, func(text string) bool { return !line.MatchString(text) }) {
			t.Errorf("%q: %q", helo, reply.Lines)
		}
		one := reply.Line(300)
		if !strings.HasSuffix(reply.String(), "Id: 4afq7n") || len(one) > 300 || !strings.HasSuffix(one, " Id: 4afq7n") {
			t.Errorf("%q: %s\n%s", helo, reply, one)
		}
	}
}

// The mailbox is no recipient: what is decided, done and recorded for the others is the same without it, wherever it
// stands, and alone it refuses nobody. Each record leads to the same one again.
func TestAskedIsNoRecipient(t *testing.T) {
	const ours, other = "reader@example.net", "reader@example.com"
	for _, tt := range []struct{ helo, rcpts, want string }{
		{"example.net", ours, "reject reject helo-rcpt-domain"},
		{"example.net", mailbox + " " + ours, "reject reject helo-rcpt-domain"},
		{"example.net", ours + " " + mailbox, "reject reject helo-rcpt-domain"},
		{"example.net", other, "accept accept helo-unresolvable"},
		{"example.net", mailbox + " " + other, "accept accept helo-unresolvable"},
		{"example.net", other + " <HELOCHECK@Example.Net>", "accept accept helo-unresolvable"},
		{"example.net", mailbox, "accept accept helo-unresolvable"}, // although it is told what others in example.net would say
		{"0x7f000001", mailbox, "reject accept helo-numeric"},
		{"0x7f000001", mailbox + " " + mailbox, "reject accept helo-numeric"},
		{"0x7f000001", mailbox + " " + other, "reject reject helo-numeric"},
	} {
		judge, s := asker(t, checks.Enforce, "203.0.113.9", tt.helo)
		rcpts := strings.Fields(tt.rcpts)
		for _, rcpt := range rcpts {
			if judge.Asked(rcpt) {
				if got := s.Answer("x").String(); !strings.Contains(got, "Mail is refused here.") {
					t.Errorf("%s: %s", tt.rcpts, got)
				}
			} else {
				s.Rcpt(checks.Domain(rcpt))
			}
		}
		if !s.Settled() {
			t.Errorf("%s: not settled", tt.rcpts)
		}
		d := s.Decision()
		d.RcptTo = rcpts
		record := d.Record(false)
		if got := record.Verdict.Want + " " + record.Verdict.Did + " " + record.Verdict.Rule; got != tt.want {
			t.Errorf("HELO %s to %s: %s, want %s", tt.helo, tt.rcpts, got, tt.want)
		}
		if again := judge.Again(record).String(); again != record.String() {
			t.Errorf("HELO %s to %s:\n%s again\n%s", tt.helo, tt.rcpts, record, again)
		}
	}
}

// Nobody else is taken for the mailbox.
func TestAsked(t *testing.T) {
	judge := &checks.Judge{Mailbox: "HeloCheck@Example.net"}
	for address, want := range map[string]bool{
		mailbox: true, "<helocheck@example.net>": true, "HELOCHECK@EXAMPLE.NET.": true,
		"helocheck": false, "helocheck+x@example.net": false, "helocheck@sub.example.net": false, "@example.net": false,
		"": false, "a@helocheck@example.net": false,
	} {
		if judge.Asked(address) != want {
			t.Errorf("%q: %t", address, !want)
		}
	}
	none := &checks.Judge{}
	if none.Asked("") || none.Asked("@") || none.OnlyAsked(nil) || judge.OnlyAsked(nil) ||
		judge.OnlyAsked([]string{mailbox, "a@example.net"}) || !judge.OnlyAsked([]string{mailbox, mailbox}) {
		t.Error("a transaction with others, or without anybody, is taken for a question")
	}
}
