package milter

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/checks"
	"helo-milter/milter/door"
)

// decided is testServer's with the records of its decisions.
func decided(t *testing.T, change func(*door.Config)) (address string, records <-chan *checks.Record) {
	t.Helper()
	said := make(chan *checks.Record, 10)
	return testServer(t, func(c *door.Config) {
		if change != nil {
			change(c)
		}
		c.Decided = func(d *checks.Decision) { said <- d.Record(false) }
	}), said
}

// The record has what was said, what was answered, and what was added to the message. Want is the record's parts, in
// the order of its members.
func TestDecision(t *testing.T) {
	observe := func(c *door.Config) { c.Policy.Mode = checks.Observe }
	for _, tt := range []struct {
		story  string
		change func(*door.Config)
		script string
		want   string
	}{
		{
			"a message", nil, "C 203.0.113.1 | H mail.example.org | M | R | R c@example.net | .",
			"mx.example.net Q1 a@example.org [b@example.net c@example.net] 0 accept/accept",
		},
		{
			"our name is configured", func(c *door.Config) { c.Site.Hostname = "mx2.example.net" },
			"C 203.0.113.1 | H mail.example.org | M | R | .",
			"mx2.example.net Q1 a@example.org [b@example.net] 0 accept/accept",
		},
		{
			"a refusal", nil, "C 203.0.113.1 | H 0x7f000001 | M | R | A",
			"mx.example.net - a@example.org [b@example.net] 1 reject/reject",
		},
		{
			"observing", observe, "C 203.0.113.1 | H 0x7f000001 | M | R | .",
			"mx.example.net Q1 a@example.org [b@example.net] 1 reject/accept",
		},
		{
			"one of two is refused", nil, "C 203.0.113.1 | H example.com | M | R | R b@example.com | .",
			"mx.example.net Q1 a@example.org [b@example.net b@example.com] 5 reject/reject",
		},
		{
			"no header wanted", func(c *door.Config) { c.Header = "" },
			"C 203.0.113.1 | H mail.example.org | M | R | .",
			"mx.example.net Q1 a@example.org [b@example.net] 0 accept/accept",
		},
		{
			"exempt", nil, "C 192.168.1.1 | H 0x7f000001 | M | R | .",
			"mx.example.net Q1 a@example.org [b@example.net] 0 exempt/accept",
		},
		{
			"refused at MAIL", func(c *door.Config) { c.ReplyAt = door.AtMail }, "C 203.0.113.1 | H 0x7f000001 | M | A",
			"mx.example.net - a@example.org [] 1 reject/reject",
		},
		{
			"a question by mail is no recipient", nil,
			"C 203.0.113.1 | H mail.example.org | M | R HELOcheck@example.net | R c@example.net | .",
			"mx.example.net Q1 a@example.org [HELOcheck@example.net c@example.net] 0 accept/accept",
		},
		{
			"and refuses nobody", nil, "C 203.0.113.1 | H 0x7f000001 | M | R helocheck@example.net | A",
			"mx.example.net - a@example.org [helocheck@example.net] 1 reject/accept",
		},
		{
			"also where MAIL is judged", func(c *door.Config) { c.ReplyAt = door.AtMail },
			"C 203.0.113.1 | H mail.example.org | M | R helocheck@example.net | A",
			"mx.example.net - a@example.org [helocheck@example.net] 0 accept/accept",
		},
	} {
		address, records := decided(t, func(c *door.Config) {
			c.Policy.Actions[checks.Index("helo-rcpt-domain")] = checks.Reject
			c.Mailbox = "helocheck@example.net"
			if tt.change != nil {
				tt.change(c)
			}
		})
		m := connect(t, address, map[string]string{gomilter.MacroQueueId: "Q1"})
		begin := time.Now()
		m.play(tt.script)
		r := <-records
		got := fmt.Sprintf("%s %s %s %s %d %s/%s", r.MTA, cmp.Or(r.QueueID, "-"), r.MailFrom, r.RcptTo,
			len(r.Findings), r.Verdict.Want, r.Verdict.Did)
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.story, got, tt.want)
		}
		if r.Header != m.header {
			t.Errorf("%s: the message got %q, the record has %q", tt.story, m.header, r.Header)
		}
		if len(r.ID) != 26 || m.header != "" && !strings.HasSuffix(m.header, "; id="+r.ID) {
			t.Errorf("%s: the id is %q", tt.story, r.ID)
		}
		late := time.Since(begin) + time.Millisecond // a record's time is in whole ones
		if since := r.Time.Sub(begin.Truncate(time.Millisecond)); since < 0 || since > late || r.Millis <= 0 {
			t.Errorf("%s: begun after %v, took %v ms of %v", tt.story, since, r.Millis, late)
		}
		m.Close()
	}
}

// Who fills a session with all that fits into the frames makes it keep little. All recipients are answered.
func TestHostileSession(t *testing.T) {
	const greetings, recipients = 30, 300
	long := []string{"\xff" + strings.Repeat("ü", 30_000), strings.Repeat("a", 60_000)}
	name := func(n int) string { return fmt.Sprint(n) + long[n%2] }
	address, records := decided(t, nil)
	m := connect(t, address, nil)
	m.play("C 203.0.113.1 | H mail.example.org | M | A")
	before := heap()
	for n := range greetings {
		m.play("H " + name(n))
	}
	m.play("M " + name(0))
	for n := range recipients {
		if got := m.play("R " + name(n)); got != "501 5.5.2 helo-malformed" {
			t.Fatalf("recipient %d gets %q", n, got)
		}
	}
	if more := heap() - before; more > 512<<10 {
		t.Errorf("the session keeps %d bytes", more)
	}
	m.Close()

	r := <-records
	sum := 0
	for n, rcpt := range append(r.RcptTo, r.MailFrom) {
		sum += len(rcpt)
		if len(rcpt) < 1000 || len(rcpt) > 1024 || !utf8.ValidString(rcpt) {
			t.Errorf("recipient %d has %d bytes, and begins with %q", n, len(rcpt), rcpt[:10])
		}
	}
	last := len(r.RcptTo) - 1
	if sum < 60<<10 || sum > 66<<10 || !strings.HasPrefix(r.RcptTo[last], fmt.Sprint(last)) {
		t.Errorf("%d recipients of %d bytes are kept", len(r.RcptTo), sum)
	}
	var back checks.Record
	if err := json.Unmarshal([]byte(r.String()), &back); err != nil || len(back.RcptTo) != len(r.RcptTo) {
		t.Errorf("the record has %d bytes: %v", len(r.String()), err)
	}
	// Recipients without a name take room, too.
	m = connect(t, address, nil)
	m.play("C 203.0.113.1 | H mail.example.org | M" + strings.Repeat(" | R <>", 5000) + " | .")
	if r := <-records; len(r.RcptTo) > 4096 {
		t.Errorf("%d empty recipients are kept", len(r.RcptTo))
	}
	m.Close()
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
