package milter

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/milter/door"
)

// exchange sends frames as they are, and returns the replies: the code of each, with the summary of a header
// or the rule of a refusal.
func exchange(t *testing.T, address, script string) string {
	t.Helper()
	conn, err := net.Dial("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	go speak(conn, "O6 | "+script+" | Q") // ends with the connection at the latest
	stream, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var replies []string
	for len(stream) > 4 {
		size := 4 + int(binary.BigEndian.Uint32(stream))
		code, data := stream[4], strings.TrimRight(string(stream[5:size]), "\x00")
		switch stream = stream[size:]; code {
		case 'O', 'c': // to go on is no news
			continue
		case 'i':
			_, value, _ := strings.Cut(data, "\x00X-HELO-Check\x00")
			replies = append(replies, summary(value))
		case 'm':
			replies = append(replies, "deleted")
		case 'y':
			data, _, _ = strings.Cut(data, " Id: ")
			replies = append(replies, data[strings.LastIndexByte(data, ' ')+1:])
		default:
			replies = append(replies, string(code))
		}
	}
	return strings.Join(replies, " ")
}

// An MTA may send its commands in any order: nothing is lost, nothing is said twice, nobody is blamed for
// another's message.
func TestCommandOrder(t *testing.T) {
	const (
		bad     = "Cclient~4~~203.0.113.1~ | H0x7f~ | M<>~"
		good    = "Cclient~4~~203.0.113.1~ | Hmail.example.org~"
		message = "M<a@example.org>~ | R<b@example.net>~ | E"
		passes  = "accept,mail.example.org,none a"
	)
	for _, tt := range []struct{ story, script, want, decisions string }{
		{"in order", good + " | " + message, passes, "accept/accept"},
		{"nothing", "A", "", ""},
		{"no CONNECT", "Hfriend~ | " + message, "exempt,friend,none a", "exempt/accept"},
		{"MAIL alone", message, "exempt,none,none a", "exempt/accept"},
		{"no HELO", "Cclient~4~~203.0.113.1~ | M<>~ | R<>~", "helo-missing", "reject/reject"},
		{"no MAIL", good + " | R<b@example.net>~ | E", passes, "accept/accept"},
		{"no RCPT", good + " | M<>~ | E", "accept,mail.example.org,none a", "accept/accept"},
		{"the end alone", good + " | E | E", "a a", ""},
		{"headers alone", good + " | LX-HELO-Check~x~ | A | " + message, passes, "accept/accept"},
		{
			"and then the end", good + " | LX-HELO-Check~x~ | E | " + message,
			"deleted a " + passes, "accept/accept",
		},
		{"HELO after MAIL", good + " | M<>~ | Hmail.example.org~ | " + message, passes, "accept/accept"},
		{
			"HELO after RCPT", good + " | M<>~ | R<b@example.net>~ | Hmail.example.org~ | " + message,
			passes, "accept/accept accept/accept",
		},
		{"MAIL after MAIL", good + " | M<>~ | M<>~ | M<>~ | " + message, passes, "accept/accept"},
		{
			"MAIL after RCPT", good + " | M<>~ | R<b@example.net>~ | " + message, passes,
			"accept/accept accept/accept",
		},
		{
			"an ABORT storm", "A | A | " + good + strings.Repeat(" | A | M<>~ | A | A", 99) + " | " + message,
			passes, "accept/accept",
		},
		{
			"CONNECT after all", bad + " | " + good + " | " + message, passes,
			"accept/accept",
		},
		{
			"CONNECT after RCPT", bad + " | R<>~ | " + good + " | " + message,
			"helo-numeric " + passes, "reject/reject accept/accept",
		},
		{
			"the next session", bad + " | R<>~ | K | " + good + " | " + message,
			"helo-numeric " + passes, "reject/reject accept/accept",
		},
		{"it hangs up", good + " | M<>~ | R<b@example.net>~", "", "accept/accept"},
		{
			"SMTPUTF8", good + " | M<b\u00fccher@b\u00fccher.example>~ | R<\xff@example.net>~ | E",
			passes, "accept/accept",
		},
	} {
		var decisions []string
		t.Run(tt.story, func(t *testing.T) { // ends with the server
			server, address := startServer(t, func(c *door.Config) {
				c.Decided = func(d *checks.Decision) { decisions = append(decisions, line(d)) }
			})
			if got := exchange(t, address, tt.script); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := server.transactions.Wait(ctx); err != nil || server.Transactions() != 0 {
				t.Errorf("%d transactions are open at the end: %v", server.Transactions(), err)
			}
		})
		if got := strings.Join(decisions, " "); got != tt.decisions {
			t.Errorf("%s: decided %s, want %s", tt.story, got, tt.decisions)
		}
	}
}
