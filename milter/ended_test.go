package milter

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"helo-milter/milter/door"
)

// Each SMTP session that has ended is of one class, and what was taken out of its messages is counted.
func TestEnded(t *testing.T) {
	login := map[string]string{"{auth_type}": "PLAIN", "{auth_authen}": "user"}
	for _, tt := range []struct {
		script string
		macros map[string]string
		want   string
	}{
		{"C 203.0.113.1 | H mail.example.org | M | R | .", nil, "judged 0"},
		{"C 203.0.113.1 | H 0x7f000001 | M | R | A", nil, "judged 0"},
		{"C 203.0.113.1 | H mail.example.org", nil, "none 0"},
		{"C 203.0.113.1 | H mail.example.org | M | A", nil, "none 0"},
		{"C 192.168.1.1 | H friend | M | R | .", nil, "private 0"},
		{"C 198.51.100.9 | H friend | M | R | .", nil, "allow 0"},
		{"C U | H friend | M | R | .", nil, "no-address 0"},
		{"C 203.0.113.1 | H friend | M | R | .", login, "authenticated 0"},
		{
			"C 203.0.113.1 | H mail.example.org | M | R | X X-HELO-Check: accept | X x-helo-check: accept | . | " +
				"M | R | X X-HELO-Check: accept | .", nil, "judged 3",
		},
	} {
		ended, stripped := make(chan string, 2), atomic.Int32{}
		play(t, testServer(t, func(c *door.Config) {
			c.Exempt.Network(netip.MustParsePrefix("198.51.100.0/24"))
			c.Ended = func(class string) { ended <- class }
			c.Stripped = func(n int) { stripped.Add(int32(n)) }
		}), tt.script, tt.macros)
		if got := fmt.Sprint(<-ended, " ", stripped.Load()); got != tt.want || len(ended) > 0 {
			t.Errorf("%s: %s, want %s", tt.script, got, tt.want)
		}
	}
}
