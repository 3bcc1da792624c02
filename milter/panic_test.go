package milter

import (
	"strings"
	"sync/atomic"
	"testing"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
)

// panicAt makes the resolver panic at a question, "TYPE OWNER". No real server can be made to do that.
func panicAt(c *door.Config, question string) {
	qtype, owner, _ := strings.Cut(question, " ")
	c.DNS.Resolver.(checkstest.Zone).Set(owner, "dnstest", "panic "+qtype)
}

// fails is a resolver that breaks at a question.
func fails(question string) func(*door.Config) {
	return func(c *door.Config) {
		c.DNS.Hosts = true
		panicAt(c, question)
	}
}

// Whatever panics, the mail goes on, with one header, and the panic is reported. The decisions are want/did, with a
// question mark when they are those of an error.
func TestPanic(t *testing.T) {
	const (
		session = "C 203.0.113.1 | H mail.example.org"
		message = " | M | R | X X-HELO-Check: accept | ."
		good    = "1:deleted 0:accept,mail.example.org,none"
		bad     = good + " ?internal"
	)
	for _, tt := range []struct {
		story     string
		change    func(*door.Config)
		script    string
		want      string
		decisions string
		told      int32
	}{
		{"PTR", fails("PTR 203.0.113.1"), session + message, bad, "accept/accept?", 1},
		{"an address", fails("A mail.example.org"), session + message, bad, "accept/accept?", 1},
		{"HELO", fails("AAAA mail.example.org"), session + message, bad, "accept/accept?", 1},
		{"a lookup of a lookup", fails("MX mail.example.org"), session + message, bad, "accept/accept?", 1},
		{
			"two messages", fails("PTR 203.0.113.1"), session + message + message, bad + " | " + bad,
			"accept/accept? accept/accept?", 2,
		},
		{"nobody waits for it", fails("PTR 203.0.113.1"), session + " | M | A", "", "", 1},
		{
			"one greeting of two", fails("A b.example.org"),
			session + " | H b.example.org | H mail.example.org" + message, bad, "accept/accept?", 1,
		},
		{
			"exempt, and not looked up", fails("PTR 10.0.0.1"), "C 10.0.0.1 | H x | M | R | .",
			"0:exempt,x,none", "exempt/accept", 0,
		},
		{
			"CONNECT", func(c *door.Config) { c.Exempt = nil }, session + message + message, bad + " | " + bad,
			"accept/accept? accept/accept?", 1,
		},
		{
			"MAIL", func(c *door.Config) { c.Policy.Actions, c.ReplyAt = nil, door.AtMail }, session + message, bad,
			"accept/accept?", 1,
		},
		{
			"the judgement", func(c *door.Config) { c.Policy.Actions = nil }, session + message + message,
			bad + " | " + bad, "accept/accept? accept/accept?", 2,
		},
	} {
		var told atomic.Int32
		var decisions []string
		t.Run(tt.story, func(t *testing.T) { // ends with the server
			address := testServer(t, func(c *door.Config) {
				tt.change(c)
				c.OnPanic = func(value any, stack []byte) {
					told.Add(1)
					if value == nil || !strings.Contains(string(stack), "helo-milter/checks.") {
						t.Errorf("told of %v in\n%s", value, stack)
					}
				}
				c.Decided = func(d *checks.Decision) { decisions = append(decisions, line(d)) }
			})
			if got := play(t, address, tt.script, nil); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
		if got := strings.Join(decisions, " "); got != tt.decisions || told.Load() != tt.told {
			t.Errorf("%s: decided %s, want %s; told %d, want %d",
				tt.story, got, tt.decisions, told.Load(), tt.told)
		}
	}
}

// line is a decision in short.
func line(d *checks.Decision) string {
	r := d.Record(false)
	line := r.Verdict.Want + "/" + r.Verdict.Did
	if len(r.Findings) == 1 && r.Findings[0].Rule == checks.Internal {
		line += "?"
	}
	return line
}

// What panics at the end of a message does not hold it up.
func TestPanicAtEnd(t *testing.T) {
	for _, tt := range []struct {
		story string
		spoil func(*door.Config)
		want  string
		next  string
	}{
		{
			"Decided", func(c *door.Config) { c.Decided = func(*checks.Decision) { panic("full") } },
			"1:deleted 0:accept,[192.0.2.7],helo-literal-mismatch",
			"0:accept,[192.0.2.7],helo-literal-mismatch",
		},
		{
			"the header", func(c *door.Config) { c.Policy.Actions = nil },
			"1:deleted 0:accept,[192.0.2.7],none ?internal", "0:accept,[192.0.2.7],none ?internal",
		},
	} {
		var cfg *door.Config
		var told atomic.Int32
		address := testServer(t, func(c *door.Config) {
			c.OnPanic = func(any, []byte) { told.Add(1) }
			cfg = c
		})
		m := connect(t, address, nil)
		m.play("C 203.0.113.1 | H [192.0.2.7] | M | R | X X-HELO-Check: accept")
		tt.spoil(cfg) // the session waits for what comes next
		if got := m.play("."); got != tt.want || told.Load() != 1 {
			t.Errorf("%s\n got %s\nwant %s, told %d", tt.story, got, tt.want, told.Load())
		}
		if got := m.play("M | R | ."); got != tt.next || told.Load() != 2 {
			t.Errorf("%s, the next message\n got %s\nwant %s, told %d", tt.story, got, tt.next, told.Load())
		}
		m.Close()
	}
}

// What panics over one recipient leaves those before it refused, and the next message is judged again. The second
// step is taken with a policy that breaks.
func TestPanicOverRecipient(t *testing.T) {
	for _, tt := range []struct {
		story     string
		steps     [3]string
		want      string
		decisions string
	}{
		{
			"the second of three recipients",
			[3]string{"C 203.0.113.1 | H mx.example.net | M | R", "R b@mx.example.net", "R | ."},
			"550 5.7.1 helo-own-name | 0:accept,mx.example.net,none ?internal", "accept/reject?",
		},
		{
			"one message of two",
			[3]string{"C 203.0.113.1 | H mx.example.net | M", "R b@mx.example.net", ". | M | R"},
			"0:accept,mx.example.net,none ?internal | 550 5.7.1 helo-own-name", "accept/accept? reject/reject",
		},
	} {
		var cfg *door.Config
		var told atomic.Int32
		var decisions, got []string
		t.Run(tt.story, func(t *testing.T) { // ends with the server
			address := testServer(t, func(c *door.Config) {
				clear(c.Policy.Actions)
				c.Policy.Actions[checks.Index("helo-own-name")] = checks.Reject
				c.OnPanic = func(any, []byte) { told.Add(1) }
				c.Decided = func(d *checks.Decision) { decisions = append(decisions, line(d)) }
				cfg = c
			})
			m := connect(t, address, nil)
			actions := cfg.Policy.Actions
			for i, step := range tt.steps {
				cfg.Policy.Actions = actions
				if i == 1 {
					cfg.Policy.Actions = nil
				}
				if said := m.play(step); said != "" {
					got = append(got, said)
				}
			}
			m.Close()
		})
		if said := strings.Join(got, " | "); said != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.story, said, tt.want)
		}
		if got := strings.Join(decisions, " "); got != tt.decisions || told.Load() != 1 {
			t.Errorf("%s: decided %s, want %s; told %d", tt.story, got, tt.decisions, told.Load())
		}
	}
}
