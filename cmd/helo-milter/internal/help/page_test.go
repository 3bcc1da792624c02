package help

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"helo-milter/checks"
)

func TestSmoke(t *testing.T) {
	var b bytes.Buffer
	s := &State{Token: "abc", Ticket: &Ticket{Client: netip.MustParseAddr("203.0.113.9"), Time: time.Unix(1e9, 0), Rules: []string{"helo-bare-ip", "ptr-missing"}, Helo: "203.0.113.9", PTR: Said{Status: checks.Missing}}}
	if err := renderPage(&b, s); err != nil {
		t.Fatal(err)
	}
	for i := range checks.All {
		if err := renderRule(&b, &checks.All[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := renderRules(&b); err != nil {
		t.Fatal(err)
	}
	if err := renderGone(&b); err != nil {
		t.Fatal(err)
	}
	t.Log(b.String()[:6000])
}
