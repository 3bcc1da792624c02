package integration

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	gomilter "github.com/d--j/go-milter"

	"helo-milter/integration/rig"
)

// unsupportedFeatures are what an MTA does not support: a story with the text in its script or needs is not
// run with it. Each name has a row in examples/README.md. SMTP extensions have the keyword in the reply to EHLO.
var unsupportedFeatures = []struct{ mta, what, keyword, name, why string }{
	{"Sendmail", "XCLIENT ", "XCLIENT", "XCLIENT", "not supported"},
	{"Sendmail", "SMTPUTF8", "SMTPUTF8", "SMTPUTF8", "Debian's is built without it"},
	{"Sendmail", "BDAT ", "CHUNKING", "BDAT (CHUNKING)", "not supported by 8.17"},
	{"Sendmail", "non_smtpd_milters", "", "local submission with `sendmail`", "calls no milter"},
	{"Sendmail", "milter_protocol", "", "old versions of the milter protocol", "speaks 6 only"},
	{
		"Sendmail", "mail.example.org <b>", "", "a HELO with a blank in it",
		"rejected with 501 by Sendmail itself; with `confALLOW_BOGUS_HELO` what precedes the blank counts",
	},
	{"Exim", "XCLIENT ", "XCLIENT", "XCLIENT", "not supported by 4.96"},
	{"Exim", "^STARTTLS", "", "STARTTLS before any HELO", "rejected with 503 by Exim itself"},
	{"Exim", "non_smtpd_milters", "", "local submission with `sendmail`", "does not ask: it is no SMTP session"},
	{"Exim", "milter_protocol", "", "old versions of the milter protocol", "has no milters"},
	{"Postfix policy", " HELO=mail", "", "XCLIENT", "works, and a name with HELO= is the greeting"},
	{"Postfix policy", "non_smtpd_milters", "", "local submission with `sendmail`", "does not ask: it is no SMTP session"},
	{"Postfix policy", "milter_protocol", "", "old versions of the milter protocol", "no milter"},
	{
		"Postfix policy", "forged", "", "removal of header fields that claim to be ours",
		"not possible: only the one at the very top is ours",
	},
}

// Each feature is still unsupported, even if the MTA is configured for it, and the other MTA supports it.
// Local submission is in TestLocalSubmission, and Exim in TestEximFeatures.
func TestUnsupportedFeatures(t *testing.T) {
	for mta, tt := range map[string]struct {
		needs   []string
		version uint32 // of the milter protocol
		blank   string // the codes of a session with EHLO without and with a blank in the name
	}{
		"Postfix":  {[]string{anyHelo["Postfix"], "SMTPUTF8", "milter_protocol = 2"}, 2, "220 250 250 221"},
		"Sendmail": {nil, 6, "220 250 501 221"},
	} {
		t.Run(mta, func(t *testing.T) {
			t.Parallel()
			var spoken atomic.Uint32
			milter := gomilter.NewServer(gomilter.WithDynamicMilter(
				func(version uint32, _ gomilter.OptAction, _ gomilter.OptProtocol, _ gomilter.DataSize) gomilter.Milter {
					spoken.Store(version)
					return gomilter.NoOpMilter{}
				}))
			server := rig.Start(t, mta, rig.StartSink(t), startUnguarded(t, milter), tt.needs...)
			client := netip.MustParseAddr(good)
			const script = "EHLO mail.example.org|EHLO mail.example.org <b>|QUIT"
			replies := rig.Talk(t, client, server.Endpoint(client), script, "")
			if got := codes(replies); got != tt.blank {
				t.Errorf("codes %s, want %s\n%+v", got, tt.blank, replies)
			}
			for _, feature := range unsupportedFeatures {
				has := strings.Contains(replies[1].Text, feature.keyword)
				if !(variant{mta: feature.mta}).asksPolicy() && feature.keyword != "" && has == (feature.mta == mta) {
					t.Errorf("%s: %t in\n%s\n%s", feature.keyword, has, replies[1].Text, server.Log())
				}
			}
			if mta == "Sendmail" && strings.Contains(rig.SendmailBuild(t), "USE_EAI") {
				t.Error("it is built with SMTPUTF8, and may only have to be configured")
			}
			if got := spoken.Load(); got != tt.version {
				t.Errorf("it speaks version %d, want %d", got, tt.version)
			}
		})
	}
}

// differences are sessions that the MTAs handle differently in enforce mode.
var differences = []struct {
	what, says, config              string
	postfix, sendmail, exim, policy behaviour
}{
	{
		"a HELO that is not a host name, `EHLO a,b;c`", "EHLO a,b;c", "",
		behaviour{
			"the milter judges it",
			"220 250 250 501 554 221", "Rule: helo-malformed", "reject/203.0.113.10/a,b;c",
		},
		behaviour{
			"rejects it with 501 itself, and a client that goes on without one is `helo-missing`. With " +
				"`confALLOW_BOGUS_HELO` the milter judges it",
			"220 501 250 503 503 221", "Rule: helo-missing", "reject/203.0.113.10/",
		},
		behaviour{
			"rejects it with 501 itself, and MAIL without a HELO with 503. With `helo_accept_junk_hosts` " +
				"helo-milter judges it",
			"220 501 503 503 503 221", "sender not yet given", "",
		},
		behaviour{
			"helo-milter judges it",
			"220 250 250 501 554 221", "Rule: helo-malformed", "reject/203.0.113.10/a,b;c",
		},
	},
	{
		"no HELO", "", "",
		behaviour{
			"the milter judges it", "220 250 503 554 221", "Rule: helo-missing", "reject/203.0.113.10/",
		},
		behaviour{
			"the milter judges it", "220 250 503 503 221", "Rule: helo-missing", "reject/203.0.113.10/",
		},
		behaviour{
			"rejects MAIL with 503 itself. Where `hosts_require_helo` is empty, helo-milter judges it",
			"220 503 503 503 221", "sender not yet given", "",
		},
		behaviour{
			"helo-milter judges it", "220 250 503 554 221", "Rule: helo-missing", "reject/203.0.113.10/",
		},
	},
	{
		"a refusal at RCPT", "EHLO mx.example.net", "",
		behaviour{"sent unchanged", "220 250 250 550 554 221", "5.7.1 HELO", ownNameRejected},
		behaviour{
			"the recipient is inserted, `550 5.7.1 <reader@example.net>... HELO`, but not with 50x",
			"220 250 250 550 503 221", "5.7.1 <reader@example.net>... HELO", ownNameRejected,
		},
		behaviour{
			"in lines of about 75 characters, and a temporary one is always 450",
			"220 250 250 550 503 221", "\n5.7.1 ", ownNameRejected,
		},
		behaviour{
			"the recipient is inserted, `550 5.7.1 <reader@example.net>: Recipient address rejected: HELO`, in one line, " +
				"and a temporary one is always 450",
			"220 250 250 550 554 221", "5.7.1 <reader@example.net>: Recipient address rejected: HELO", ownNameRejected,
		},
	},
	{
		"a greeting before the last", "EHLO mx.example.net|EHLO mail.example.org", "",
		behaviour{"counts", "220 250 250 250 550 554 221", "Rule: helo-own-name", "reject/203.0.113.10/mail.example.org"},
		behaviour{"counts", "220 250 250 250 550 503 221", "Rule: helo-own-name", "reject/203.0.113.10/mail.example.org"},
		behaviour{"counts", "220 250 250 250 550 503 221", "Rule: helo-own-name", "reject/203.0.113.10/mail.example.org"},
		behaviour{
			"counts if it was asked about: at once with `smtpd_delay_reject = no`, otherwise at a recipient",
			"220 250 250 250 550 554 221", "Rule: helo-own-name", "reject/203.0.113.10/mail.example.org",
		},
	},
}

// behaviour is how an MTA handles a session: words for examples/README.md, the codes of all replies, a part
// of the reply to RCPT, and the decisions in the words of loggedDecisions.
type behaviour struct{ words, codes, reply, decided string }

// TestMTADifferences runs the sessions that the MTAs handle differently.
func TestMTADifferences(t *testing.T) {
	for _, tt := range differences {
		for mta, want := range map[string]behaviour{
			"Postfix": tt.postfix, "Sendmail": tt.sendmail, "Exim": tt.exim, "Postfix policy": tt.policy,
		} {
			t.Run(mta+" "+tt.what, func(t *testing.T) {
				t.Parallel()
				v := variant{mta, "enforce", "unix"}
				milter := rig.StartMilter(t, v.socket(), v.config(tt.config))
				server := rig.Start(t, mta, rig.StartSink(t), milter.Socket)
				client := netip.MustParseAddr(good)
				says := strings.TrimPrefix(tt.says+toNet, "|")
				replies := rig.Talk(t, client, server.Endpoint(client), says, rig.Message)
				s := &session{T: t, replies: replies, milter: milter}
				if got := codes(replies); got != want.codes {
					t.Errorf("codes %s, want %s", got, want.codes)
				}
				if reply := s.reply("RCPT"); !strings.Contains(reply.Text, want.reply) {
					t.Errorf("%+v lacks %s", reply, want.reply)
				}
				s.checkDecisions(want.decided)
			})
		}
	}
}

// codes returns the codes of all replies.
func codes(replies []rig.Reply) string {
	var codes []string
	for _, reply := range replies {
		codes = append(codes, fmt.Sprint(reply.Code))
	}
	return strings.Join(codes, " ")
}

var update = flag.Bool("update", false, "rewrite the golden files and the table of examples/README.md")

// examples/README.md has the table of what these tests show.
func TestDifferencesTable(t *testing.T) {
	const file, begin, end = "../examples/README.md", "-update -->\n", "<!-- end of differences -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	table, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal(file + " has no place for the table of differences")
	}
	if want := differencesTable(); *update {
		err = os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644)
	} else if table != want {
		err = fmt.Errorf("%s has\n%s\nnot\n%s", file, table, want)
	}
	if err != nil {
		t.Error(err)
	}
}

// differencesTable returns the table: sessions that differ, unsupported features, and what happens to mail
// without the milter.
func differencesTable() string {
	table := "| | " + strings.Join(rig.Hosts, " | ") + " |\n|" + strings.Repeat("---|", 1+len(rig.Hosts)) + "\n"
	row := func(what string, words map[string]string) {
		table += "| " + what + " |"
		for _, mta := range rig.Hosts {
			cell := words[mta]
			if mta == "OpenSMTPD" {
				cell = smtpdCell(what)
			}
			table += " " + cell + " |"
		}
		table += "\n"
	}
	for _, d := range differences {
		row(d.what, map[string]string{
			"Postfix": d.postfix.words, "Sendmail": d.sendmail.words, "Exim": d.exim.words, "Postfix policy": d.policy.words,
		})
	}
	done := map[string]bool{}
	for _, feature := range unsupportedFeatures {
		words := map[string]string{}
		for _, mta := range rig.Hosts {
			words[mta] = "works"
		}
		for _, other := range unsupportedFeatures {
			if other.name == feature.name {
				words[other.mta] = other.why
			}
		}
		if !done[feature.name] {
			row(feature.name, words)
		}
		done[feature.name] = true
	}
	for _, d := range smtpdDifferences {
		others := map[string]string{}
		for _, mta := range rig.Hosts {
			others[mta] = d.others
		}
		if d.others != "" {
			row(d.what, others)
		}
	}
	words, patience := map[string]string{"Exim": eximDown}, map[string]string{"Exim": eximPatience}
	for _, d := range downTests {
		words[d.mta] += "<br>" + settingText(d.setting) + ": " + d.words
	}
	for _, d := range policyDownTests {
		words["Postfix policy"] += "<br>" + settingText(d.setting) + ": " + d.words
	}
	words["Postfix policy"] = strings.TrimPrefix(words["Postfix policy"], "<br>")
	for mta, text := range shortTimeouts {
		words[mta] = strings.TrimPrefix(words[mta], "<br>")
		patience[mta] = "`" + text + "`"
	}
	row("setting, and its effect while the milter is down, silent, or hangs at RCPT or later",
		words)
	patience["Postfix policy"] = "`timeout=1s`"
	row("setting for a timeout below two seconds", patience)
	restarts := restartCells()
	restarts["Exim"] = eximRestart
	restarts["Postfix policy"] = "is judged: Postfix asks again" // TestPolicyRestart
	row("a session during which the milter restarts; the next one is judged", restarts)
	return table
}

// settingText formats an MTA's setting for the table.
func settingText(setting string) string {
	if setting == "" {
		return "nothing"
	}
	return "`" + setting + "`"
}
