package help

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"helo-milter/checks"
)

// What a ticket does not say is not known, and its advice is none that the DNS of the time could prove wrong.
func TestAdviceFromTicket(t *testing.T) {
	const (
		mail      = "mail.example.org"
		confirm   = "HELO name to mail.example.org, which the DNS confirms for 203.0.113.9"
		publish   = "Publish an address record that points from mail.example.org"
		elsewhere = "198.51.100.7"
	)
	found := func(value string, leads bool) Said { return Said{Status: checks.Found, Value: value, Leads: leads} }
	missing, failed := Said{Status: checks.Missing}, Said{Status: checks.Failed}
	for _, tt := range []struct {
		what, helo, rules string
		ptr, addr         Said
		name              string // "" is an example
		says, saysNot     string
	}{
		{
			"a confirmed name", "localhost", "helo-localhost",
			found(mail, true),
			Said{},
			mail, confirm, "PTR",
		},
		{
			"nothing", "localhost", "helo-localhost,ptr-missing",
			missing,
			Said{},
			"", "to set the PTR record", "confirms",
		},
		{
			"a name that leads nowhere", "localhost", "helo-localhost,ptr-unconfirmed",
			found(mail, false),
			Said{},
			mail, publish, "set the PTR",
		},
		{
			"a name that was not looked up", "localhost", "helo-localhost",
			found(mail, false),
			Said{},
			"", "could not be looked up", publish,
		},
		{
			"a failed lookup", "localhost", "helo-localhost",
			failed,
			Said{},
			"", "could not be looked up", publish,
		},
		{
			"no room for the name", "localhost", "helo-localhost",
			found("", true),
			Said{},
			"", "could not be looked up", publish,
		},
		{
			"a HELO name without a record", mail, "helo-unresolvable,ptr-missing",
			missing, missing, mail, publish, "HELO name to",
		},
		{
			"only an address of the family is missing", mail, "ptr-missing",
			missing, missing, "", publish, "HELO name to",
		},
		{
			"a HELO name that is in use", mail, "ptr-missing,helo-ip-mismatch",
			missing, found(elsewhere, false), "", "to set the PTR record", elsewhere,
		},
		{
			"a HELO name that is right", mail, "ptr-missing",
			missing, found("203.0.113.9", true), mail, "to set the PTR record", publish,
		},
		{
			"our own name", "mx.example.net", "helo-own-name,helo-unresolvable,ptr-missing",
			missing, missing, "", "belongs to somebody else", "mx.example.net",
		},
		{
			"a HELO that was cut", strings.Repeat("a", 60) + ".example.org.example",
			"helo-unresolvable,ptr-missing", missing, missing, "", "to set the PTR record", "aaa",
		},
		{
			"nothing was sent", "", "helo-missing",
			found(mail, true),
			Said{},
			mail, "must send EHLO", "smtp_helo_name",
		},
	} {
		ticket := &Ticket{
			Client: netip.MustParseAddr("203.0.113.9"), Time: day, Helo: tt.helo, PTR: tt.ptr, Addr: tt.addr,
			Rules: strings.Split(tt.rules, ","),
		}
		advice := checks.Advise(ticket.record(), nil)
		var text strings.Builder
		for _, step := range advice.Steps {
			text.WriteString(step.Text + strings.Join(step.Records, "") + "\n")
			for _, s := range step.Settings {
				text.WriteString(s.Line + "\n")
			}
		}
		name := advice.Name
		if advice.Example {
			name = ""
		}
		if name != tt.name || !strings.Contains(text.String(), tt.says) ||
			tt.saysNot != "" && strings.Contains(text.String(), tt.saysNot) {
			t.Errorf("%s: %q\n%s", tt.what, name, text.String())
		}
	}
}

// A ticket comes back as it was, with what leads to the client, and with what decided.
func TestTicketFlags(t *testing.T) {
	for _, ticket := range []*Ticket{
		{Unsure: true, PTR: Said{Status: checks.Found, Value: "mail.example.org", Leads: true, More: 15}},
		{Rules: []string{"helo-missing"}, PTR: Said{Status: checks.Missing}},
		{Unsure: true, Addr: Said{Status: checks.Found, Value: "203.0.113.9", Leads: true}},
	} {
		ticket.Client, ticket.Time = netip.MustParseAddr("203.0.113.9"), day
		got, err := parse(ticket.append(nil))
		if err != nil || !reflect.DeepEqual(got, ticket) {
			t.Errorf("%+v comes back as %+v, %v", ticket, got, err)
		}
	}
}

// A failed lookup that decided is no rule that failed, and the confirmed one of several names is what a
// ticket has.
func TestNewTicket(t *testing.T) {
	v := visit{client: "203.0.113.9", profile: checks.Strict}
	zone := `
203.0.113.9      PTR  a.example.org.
203.0.113.9      PTR  b.example.org.
b.example.org    A    203.0.113.9
c.example.org    A    198.51.100.7
c.example.org    A    203.0.113.9
`
	_, ticket := v.judge(t, zone, "c.example.org", day)
	want := [2]Said{
		{Status: checks.Found, Value: "b.example.org", Leads: true, More: 1},
		{Status: checks.Found, Value: "203.0.113.9", Leads: true, More: 1},
	}
	if got := [2]Said{ticket.PTR, ticket.Addr}; got != want {
		t.Errorf("the ticket has %+v, want %+v", got, want)
	}
	r, _ := v.judge(t, broken, "mail.example.org", day)
	policy := checks.NewPolicy(checks.Strict)
	policy.OnDNSError = checks.TempFail
	verdict := policy.Decide(checks.Evaluate(r.Facts, nil, ""))
	if got := NewTicket(day, r.Facts, &verdict); !got.Unsure || len(got.Rules) > 0 {
		t.Errorf("a failed lookup makes the ticket %+v", got)
	}
}
