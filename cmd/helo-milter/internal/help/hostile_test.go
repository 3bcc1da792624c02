package help

import (
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// Nothing that the network says becomes a tag or an attribute, or text that a reader could take for something
// else.
func TestHostile(t *testing.T) {
	texts := checkstest.Hostile(t)
	for i, text := range []string{
		`<script>alert(1)</script>`, `</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`,
		`' onmouseover='alert(1)`, "` onload=`alert(1)", `javascript:alert(1)`,
		`<a href="javascript:alert(1)">`,
		`--><svg/onload=alert(1)>`, `]]><b>`, `<!--`, `</title><h1>`, `{{.Token}}`, `{{template "gone"}}`,
		`<%= 7*7 %>`,
		`&lt;b&gt;`, `&#x3c;b&#x3e;`, "\x00<b>", "a\u202egro.elpmaxe\u202c", "\u2066\u200f\u05d0\u2069",
		"\x1b[2J\x9b1m",
		"\xff\xfe<b>", "data: evil\n\nevent: evil", "\u2028<b>\u2029", strings.Repeat("W", 4096),
		"a" + strings.Repeat("\u0301", 500),
	} {
		texts[fmt.Sprint("text ", i)] = text
	}
	for name, text := range texts {
		harmless := "not a name"
		if checks.ParseHelo(text).Name != "" {
			harmless = "name"
		}
		want := skeleton(t, hostileState(harmless))
		if got := skeleton(t, hostileState(text)); !slices.Equal(got, want) {
			t.Errorf("%s, %q: the page has other elements:\n%s", name, text, strings.Join(got, "\n"))
		}
	}
}

// hostileState is a state in which each text of the network is the same one.
func hostileState(text string) *State {
	client := netip.MustParseAddr("203.0.113.9")
	helo := checks.Helo{Raw: text, Form: checks.FormMalformed, Name: text}
	names := checks.Answer[string]{Status: checks.Found, Values: []string{text}}
	addrs := checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{client.Next()}}
	host := checks.Host{Name: text + "!", Addrs: addrs}
	r := &checks.Record{
		Time: day, ID: text, QueueID: text, MTA: text, Client: client, Helo: helo,
		MailFrom: text, RcptTo: []string{text}, Header: text, Iprev: "fail",
		Verdict: checks.RecordVerdict{Want: "reject", Rule: "helo-malformed", Reply: text},
		Findings: []checks.RuleFinding{
			{Rule: "helo-malformed", Result: checks.Fail, Action: checks.Reject, Detail: text},
			{Rule: "ptr-unconfirmed", Result: checks.Fail, Action: checks.Reject, Detail: text},
			{Rule: text, Result: checks.Fail, Action: checks.Reject, Detail: text},
		},
		Facts: &checks.Facts{
			Client: client, PTRCount: 1, Lists: []string{text},
			PTR:       checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{host}},
			Greetings: []checks.Greeting{{Helo: helo, A: addrs, AAAA: addrs, MX: names, SPF: names}},
		},
	}
	return &State{
		Token: text, Test: r, Next: r, Busy: true, Wait: 1,
		Ticket: &Ticket{
			Client: client, Time: day, Helo: text, Rules: []string{"helo-malformed", "ptr-unconfirmed"},
			PTR: Said{Status: checks.Found, Value: text}, Addr: Said{Status: checks.Found, Value: text, More: 1},
		},
	}
}

// fine are the values of attributes that lead somewhere or hold words of ours.
var fine = regexp.MustCompile(`^[a-zA-Z0-9 .,=:/;_-]*$`)

// skeleton is what a browser makes of a page, without its text. Where an attribute leads must be one of ours.
func skeleton(t *testing.T, s *State) []string {
	t.Helper()
	page := render(t, func(w io.Writer) error { return renderPage(w, s) })
	bad := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if at := strings.IndexFunc(page, bad); at >= 0 {
		t.Errorf("%q: the page has %q", s.Token, page[max(at-20, 0):min(at+20, len(page))])
	}
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var tags []string
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			tag := n.Data
			for _, a := range n.Attr {
				tag += " " + a.Key
				if a.Key != "action" { // it has the token
					tag += "=" + a.Val
				}
				if a.Key != "action" && a.Key != "content" && !fine.MatchString(a.Val) {
					t.Errorf("%q: <%s %s=%q>", s.Token, n.Data, a.Key, a.Val)
				}
				if a.Key == "action" && !strings.HasSuffix(a.Val, "/test") {
					t.Errorf("%q: the form goes to %q", s.Token, a.Val)
				}
			}
			tags = append(tags, tag)
		case html.CommentNode, html.RawNode, html.ErrorNode:
			t.Errorf("%q: a node %q", s.Token, n.Data)
		}
	}
	return tags
}

// A page has nothing of the envelope, and nothing of our own servers.
func TestNothingOfTheEnvelope(t *testing.T) {
	for _, v := range visits {
		s := v.state(t)
		for _, r := range []*checks.Record{s.Test, s.Next} {
			if r != nil {
				r.Facts.PTR.Err, r.MTA = "read udp 192.0.2.53:53: i/o timeout", "inside.example.net"
			}
		}
		page := render(t, func(w io.Writer) error { return renderPage(w, s) })
		for _, secret := range []string{"sender@", "reader", "4Xyz", "192.0.2.53", "inside.example.net"} {
			if strings.Contains(page, secret) {
				t.Errorf("%s: the page has %q", v.name, secret)
			}
		}
	}
}
