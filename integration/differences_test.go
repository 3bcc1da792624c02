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

// lacks is what an MTA cannot do: a story that has it in its script or among its needs is not run there. Each
// has a line in examples/README.md. What SMTP's own extensions are about has a keyword in the answer to EHLO.
var lacks = []struct{ mta, what, keyword, name, why string }{
	{"Sendmail", "XCLIENT ", "XCLIENT", "XCLIENT", "there is none"},
	{"Sendmail", "SMTPUTF8", "SMTPUTF8", "SMTPUTF8", "Debian's is built without it"},
	{"Sendmail", "BDAT ", "CHUNKING", "BDAT (CHUNKING)", "8.17 has none"},
	{"Sendmail", "non_smtpd_milters", "", "local submission with `sendmail`", "asks no milter"},
	{"Sendmail", "milter_protocol", "", "old versions of the milter protocol", "speaks 6 only"},
	{
		"Sendmail", "mail.example.org <b>", "", "a HELO with a blank in it",
		"answers 501 itself, too; with `confALLOW_BOGUS_HELO` what is before the blank counts",
	},
}

// What is said to be lacking still is, however much it is asked for, and the other MTA has it. For local
// submission there is TestLocalSubmission.
func TestLacks(t *testing.T) {
	for mta, tt := range map[string]struct {
		asked   []string
		version uint32 // of the milter protocol
		blank   string // the codes of EHLO, with a blank in the name or without
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
			server := rig.Start(t, mta, rig.StartSink(t), startBare(t, milter), tt.asked...)
			client := netip.MustParseAddr(good)
			const script = "EHLO mail.example.org|EHLO mail.example.org <b>|QUIT"
			replies := rig.Talk(t, client, server.Endpoint(client), script, "")
			if got := codes(replies); got != tt.blank {
				t.Errorf("codes %s, want %s\n%+v", got, tt.blank, replies)
			}
			for _, lack := range lacks {
				has := strings.Contains(replies[1].Text, lack.keyword)
				if lack.keyword != "" && has == (lack.mta == mta) {
					t.Errorf("%s: %t in\n%s\n%s", lack.keyword, has, replies[1].Text, server.Log())
				}
			}
			if mta == "Sendmail" && strings.Contains(rig.SendmailBuild(t), "USE_EAI") {
				t.Error("it is built with SMTPUTF8, and may only have to be told")
			}
			if got := spoken.Load(); got != tt.version {
				t.Errorf("speaks version %d, want %d", got, tt.version)
			}
		})
	}
}

// differences are what the MTAs make of the same session in enforce mode. Each says it in words, for
// examples/README.md, and shows it: the codes of all replies, what is in the answer to RCPT, and what the
// milter decided, in the words of decided.
var differences = []struct {
	what, says, config string
	postfix, sendmail  shown
}{
	{
		"a HELO that is no host name, `EHLO a,b;c`", "EHLO a,b;c", "",
		shown{
			"the milter judges it",
			"220 250 250 501 554 221", "Rule: helo-malformed", "reject/203.0.113.10/a,b;c",
		},
		shown{
			"answers 501 itself, and who goes on without a greeting is `helo-missing`. With " +
				"`confALLOW_BOGUS_HELO` the milter judges it",
			"220 501 250 503 503 221", "Rule: helo-missing", "reject/203.0.113.10/",
		},
	},
	{
		"a refusal at RCPT", "EHLO mx.example.net", "",
		shown{"as it is", "220 250 250 550 554 221", "5.7.1 HELO", itIsUs},
		shown{
			"the recipient is put in, `550 5.7.1 <reader@example.net>... HELO`, but not with 50x",
			"220 250 250 550 503 221", "5.7.1 <reader@example.net>... HELO", itIsUs,
		},
	},
}

// shown is what an MTA makes of a session.
type shown struct{ words, codes, reply, decided string }

func TestDifferences(t *testing.T) {
	for _, tt := range differences {
		for mta, want := range map[string]shown{"Postfix": tt.postfix, "Sendmail": tt.sendmail} {
			t.Run(mta+" "+tt.what, func(t *testing.T) {
				t.Parallel()
				milter := rig.StartMilter(t, "unix", "mode = \"enforce\"\n"+tt.config)
				server := rig.Start(t, mta, rig.StartSink(t), milter.Socket)
				client := netip.MustParseAddr(good)
				replies := rig.Talk(t, client, server.Endpoint(client), tt.says+toNet, rig.Message)
				s := &session{T: t, replies: replies, milter: milter}
				if got := codes(replies); got != want.codes {
					t.Errorf("codes %s, want %s", got, want.codes)
				}
				if reply := s.reply("RCPT"); !strings.Contains(reply.Text, want.reply) {
					t.Errorf("%+v lacks %s", reply, want.reply)
				}
				s.decides(want.decided)
			})
		}
	}
}

// codes are those of all replies.
func codes(replies []rig.Reply) string {
	var codes []string
	for _, reply := range replies {
		codes = append(codes, fmt.Sprint(reply.Code))
	}
	return strings.Join(codes, " ")
}

var update = flag.Bool("update", false, "write the table of examples/README.md anew")

// The examples' README.md has the table of what is tested here.
func TestReadme(t *testing.T) {
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
	if want := markdown(); *update {
		err = os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644)
	} else if table != want {
		err = fmt.Errorf("%s has\n%s\nnot\n%s", file, table, want)
	}
	if err != nil {
		t.Error(err)
	}
}

// markdown is the table: what differs in a session, what is lacking, and what becomes of mail without us.
func markdown() string {
	table := "| | Postfix | Sendmail |\n|---|---|---|\n"
	row := func(what string, words map[string]string) {
		table += fmt.Sprintf("| %s | %s | %s |\n", what, words["Postfix"], words["Sendmail"])
	}
	for _, d := range differences {
		row(d.what, map[string]string{"Postfix": d.postfix.words, "Sendmail": d.sendmail.words})
	}
	for _, lack := range lacks {
		words := map[string]string{"Postfix": "works", "Sendmail": "works"}
		words[lack.mta] = lack.why
		row(lack.name, words)
	}
	words, patience := map[string]string{}, map[string]string{}
	for _, d := range downs {
		told := "nothing"
		if d.told != "" {
			told = "`" + d.told + "`"
		}
		words[d.mta] += "<br>" + told + ": " + d.words
	}
	for mta, text := range slowness {
		words[mta] = strings.TrimPrefix(words[mta], "<br>")
		patience[mta] = "`" + text + "`"
	}
	row("what the MTA is told, and what it does when the milter is down, silent, or hangs at RCPT or later",
		words)
	row("what it is told so that two seconds are too long", patience)
	row("what is left of a session when the milter is restarted in it; the next one is judged", restartWords())
	return table
}
