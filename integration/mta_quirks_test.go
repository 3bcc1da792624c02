package integration

import (
	"net/netip"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// quirkStories are about protocol versions, XCLIENT, STARTTLS, pipelining, chunks, greetings within a
// transaction and SMTPUTF8. needs is what the MTA needs for that, see rig.Start; the client is the one that
// XCLIENT presents, if there is one. decided is what the milter's log has in the end, see loggedDecisions.
var quirkStories = []struct{ client, says, outcome, needs, decided string }{
	// Old versions of the milter protocol: macros cannot be requested, and not every event can be declined.
	{good, "EHLO mail.example.org", "accept pass only", "milter_protocol = 2", accepted},
	{good, "EHLO mx.example.net", rejectOwnName, "milter_protocol = 2", ownNameRejected},
	{good, "EHLO mail.example.org", "accept pass only", "milter_protocol = 3", accepted},
	{good, "EHLO mx.example.net", rejectOwnName, "milter_protocol = 3", ownNameRejected},
	{good, "EHLO mail.example.org", "accept pass only", "milter_protocol = 4", accepted},
	{good, "EHLO mx.example.net", rejectOwnName, "milter_protocol = 4", ownNameRejected},
	{good, "EHLO mail.example.org", "accept pass only", "milter_protocol = 6", accepted},
	{good, "EHLO mx.example.net", rejectOwnName, "milter_protocol = 6", ownNameRejected},

	// XCLIENT opens a second milter connection, about the client that it presents. Nothing of the first one
	// counts, not even its greeting.
	{
		"203.0.113.30", "XCLIENT ADDR=203.0.113.30 NAME=[UNAVAILABLE]|EHLO noptr.example.org",
		"accept permerror +ptr-missing -helo-changed", "", "accept/203.0.113.30/noptr.example.org",
	},
	{
		good, "EHLO mx.example.net|XCLIENT ADDR=203.0.113.10 NAME=mail.example.org|EHLO mail.example.org",
		"accept pass only", "", accepted,
	},
	{
		good, "EHLO noptr.example.org|XCLIENT ADDR=203.0.113.10 NAME=mail.example.org|EHLO mx.example.net",
		rejectOwnName + " -helo-changed", "", ownNameRejected,
	},
	{
		"2001:db8::10", "EHLO mail.example.org|XCLIENT ADDR=IPV6:2001:db8::10|EHLO mail6.example.org",
		"accept pass only", "", "accept/2001:db8::10/mail6.example.org",
	},
	{
		good, "EHLO mail.example.org|XCLIENT ADDR=203.0.113.10 HELO=mail.example.org", // no event for the milter
		"reject 503 5.5.1 helo-missing pass only", "", "reject/203.0.113.10/",
	},

	// STARTTLS. The greeting before it counts as well.
	{good, "EHLO mail.example.org|STARTTLS|EHLO mail.example.org", "accept pass only", startTLS, accepted},
	{good, "EHLO mail.example.org|STARTTLS|HELO MAIL.example.org.", "accept pass only", startTLS, accepted},
	{good, "EHLO mail.example.org|STARTTLS", "accept pass only", startTLS, accepted}, // no second greeting
	{good, "EHLO mx.example.net|STARTTLS", rejectOwnName, startTLS, ownNameRejected},
	{good, "STARTTLS|EHLO mail.example.org", "accept pass only", startTLS, accepted},
	{
		"203.0.113.20", "EHLO smtp.example.org|STARTTLS|EHLO out.example.org",
		"accept pass +helo-changed", startTLS, "accept/203.0.113.20/out.example.org",
	},
	{
		good, "EHLO mx.example.net|STARTTLS|EHLO mail.example.org",
		rejectOwnName + " +helo-changed", startTLS, "reject/203.0.113.10/mail.example.org",
	},

	// Pipelining (RFC 2920), and the message in chunks (RFC 3030).
	{good, "EHLO mail.example.org" + atOnce, "accept pass only", "", accepted},
	{good, "EHLO mx.example.net" + atOnce, rejectOwnName, "", ownNameRejected},
	{good, "EHLO mail.example.org" + envelope + "|BDAT LAST|QUIT", "accept pass only", "", accepted},
	{good, "EHLO mail.example.org" + envelope + inChunks, "accept pass only", "", accepted},
	{good, "EHLO mail.example.org" + chunksAtOnce, "accept pass only", "", accepted},
	{good, "EHLO mx.example.net" + envelope + "|BDAT LAST|QUIT", rejectOwnName, "", ownNameRejected},
	{good, "EHLO mx.example.net" + envelope + inChunks, rejectOwnName, "", ownNameRejected},

	// A greeting ends the transaction (RFC 5321 §4.1.4), not the session.
	{
		good, "EHLO mail.example.org|MAIL FROM:<a@example.org>|HELO mail.example.org" + toNet,
		"accept pass only", "", accepted,
	},
	{
		good, "EHLO mail.example.org|MAIL FROM:<a@example.org>|RCPT TO:<b@example.net>|" +
			"HELO mail.example.org" + toNet,
		"accept pass only", "", accepted + " " + accepted,
	},
	{
		good, "MAIL FROM:<a@example.org>|HELO mail.example.org" + toNet, // late, but not missing
		"accept pass only", "", accepted,
	},

	// The null sender, and addresses beyond ASCII (RFC 6531).
	{good, "EHLO mail.example.org" + bounce, "accept pass only", "", accepted},
	{good, "EHLO mx.example.net" + bounce, rejectOwnName, "", ownNameRejected},
	{good, "EHLO mail.example.org" + toUTF8, "accept pass only", smtputf8, accepted},
	{good, "EHLO mx.example.net" + toUTF8, rejectOwnName, smtputf8, ownNameRejected},
	{
		good, "EHLO xn--bcher-kva.example.net|MAIL FROM:<a@example.org> SMTPUTF8|" +
			"RCPT TO:<reader@bücher.example.net>|DATA|QUIT",
		"accept pass +helo-rcpt-domain", smtputf8, "accept/203.0.113.10/xn--bcher-kva.example.net",
	},
}

const (
	good            = "203.0.113.10" // is mail.example.org
	rejectOwnName   = "reject 550 5.7.1 helo-own-name pass"
	ownNameRejected = "reject/203.0.113.10/mx.example.net"
	accepted        = "accept/203.0.113.10/mail.example.org"

	envelope     = "|MAIL FROM:<sender@example.org>|RCPT TO:<reader@example.net>"
	inChunks     = "|BDAT 9|BDAT 40|BDAT LAST|QUIT"
	atOnce       = "|MAIL FROM:<sender@example.org>\nRCPT TO:<reader@example.net>\nDATA|QUIT"
	chunksAtOnce = "|MAIL FROM:<sender@example.org>\nRCPT TO:<reader@example.net>\n" +
		"BDAT 9\nBDAT 40\nBDAT LAST\nQUIT"

	startTLS = "STARTTLS"
	smtputf8 = "SMTPUTF8"
	bounce   = "|MAIL FROM:<>|RCPT TO:<reader@example.net>|DATA|QUIT"
	toUTF8   = "|MAIL FROM:<sénder@exämple.org> SMTPUTF8|RCPT TO:<léser@example.net>|" +
		"RCPT TO:<reader@example.net>|DATA|QUIT"
)

// TestMTAQuirks runs the stories about what MTAs do besides the usual session.
func TestMTAQuirks(t *testing.T) {
	eachVariant(t, func(t *testing.T, v variant) {
		for i, tt := range quirkStories {
			all := "^" + tt.says + " " + tt.needs
			if !v.runs(i, all, tt.outcome) || v.unsupported(all) != "" {
				continue
			}
			t.Run(tt.needs+" "+tt.says, func(t *testing.T) {
				t.Parallel()
				client := tt.client
				if strings.Contains(tt.says, "ADDR=") {
					client = "192.0.2.1"
				}
				s := v.session(t, "", client, tt.says, rig.Message, tt.needs)
				s.client = netip.MustParseAddr(tt.client)
				s.check(parseOutcome(tt.outcome))
				s.checkDecisions(tt.decided)
				if tt.needs == startTLS && s.reply("STARTTLS").Code != 220 {
					t.Errorf("%+v\n%s", s.reply("STARTTLS"), s.log)
				}
			})
		}
	})
}
