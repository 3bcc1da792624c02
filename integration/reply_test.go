package integration

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"helo-milter/checks"
	"helo-milter/integration/rig"
)

// longURL is as long as the configuration accepts: a reply with it may need several lines.
var longURL = "https://example.net/" + strings.Repeat("why/", 45)

// refusals are the replies that clients get, up to the rule's sentence.
var refusals = []struct{ client, says, config, rule, begins, url string }{
	{"203.0.113.10", "EHLO friend", fqdnOnly, "helo-not-fqdn", `504 5.5.2 HELO "friend" from 203.0.113.10`, ""},
	{
		"203.0.113.21", "EHLO spf.example.org", "", "helo-spf",
		`550 5.7.23 HELO "spf.example.org" from 203.0.113.21`, "https://example.net/mail?a=b#helo",
	},
	{
		"203.0.113.80", "EHLO mail.example.org", strict, "ptr-dynamic",
		`550 5.7.25 HELO "mail.example.org" from 203.0.113.80 (203-0-113-80.dsl.example.org)`, longURL,
	},
	{
		"203.0.113.21", "EHLO smtp.example.org", tempfailAt + "1" + sum2, "helo-unverified",
		`450 4.7.1 HELO "smtp.example.org" from 203.0.113.21`, longURL,
	},
	{
		"203.0.113.10", "EHLO " + strings.Repeat("A%n\"\\<é>", 12), "", "helo-malformed",
		`501 5.5.2 HELO "` + strings.Repeat("A%n??<??>", 12)[:100] + `" from 203.0.113.10`, longURL,
	},
}

// sessionID is the end of each reply's sentence for us: what leads to its record.
var sessionID = regexp.MustCompile(` Id: [a-z2-7]{26}`)

// A reply is complete: the HELO and the client, what is wrong, what to change, the rule, and the help URL.
// Sendmail inserts the recipient once.
func TestReply(t *testing.T) {
	for _, mta := range rig.MTAs {
		for _, tt := range refusals {
			t.Run(mta+" "+tt.rule, func(t *testing.T) {
				t.Parallel()
				config := "help_url = '" + tt.url + "'\n" + tt.config
				s := variant{mta, "enforce", "unix"}.session(t, config, tt.client, tt.says, rig.Message)
				reply := s.reply("RCPT")
				s.checkReplyFormat(reply)
				rule := checks.All[checks.Index(tt.rule)]
				want := tt.begins + ": " + rule.Doc + ". " + rule.Fix + " Rule: " + tt.rule
				want = strings.TrimSpace(want + " " + tt.url)
				enhanced, text, _ := strings.Cut(reply.Text, " ")
				if mta == "Sendmail" && reply.Code/10 != 50 {
					want = strings.Replace(want, " HELO", " <reader@example.net>... HELO", 1)
				}
				text = strings.ReplaceAll(text, "\n"+enhanced+" ", " ")
				id := sessionID.FindString(text)
				text = strings.Replace(text, id, "", 1)
				if got := fmt.Sprint(reply.Code, " ", enhanced, " ", text); got != want || id == "" {
					t.Errorf("\n got %s\nwant %s", got, want)
				}
			})
		}
	}
}
