package integration

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// filterTests have a session in observe mode, and the result of the filters of examples/ for its message: the
// score and the symbols, without HELO_CHECK_, in both SpamAssassin and rspamd, and Sieve's folder.
var filterTests = []struct{ client, says, config, symbols, folder string }{
	{good, "EHLO mail.example.org", "", "0.0", "INBOX"},
	{"127.0.0.1", "EHLO friend", "", "0.0", "INBOX"}, // exempt
	{good, "EHLO friend", "", "0.0", "INBOX"},
	{good, "EHLO friend", tempfailAt + "1", "0.5 TEMPFAIL", "INBOX"},
	{good, "EHLO friend", "[scores]\nhelo-not-fqdn = 12.0", "2.0 SCORE_5", "Junk"},
	{"203.0.113.30", "EHLO friend", "", "1.6 IPREV_PERMERROR SCORE_3", "INBOX"},
	{"203.0.113.32", "EHLO forged.example.org", "", "0.4 IPREV_FAIL", "INBOX"},
	{good, "EHLO 0x7f000001", "", "3.5 ADDRESS REJECT SCORE_5", "Junk"},
	// Sieve looks for the name of a rule that only marks.
	{
		"206.125.175.2", "EHLO bob.microsoft.com", "[rules]\nhelo-forged-brand = \"mark\"",
		"3.0 FORGED SCORE_5", "Junk",
	},
	{
		good, "EHLO mx.example.net", "[rules]\nhelo-own-name = \"mark\"\n[scores]\nhelo-own-name = 1.0",
		"1.5 FORGED SCORE_2", "Junk",
	},
	// All symbols together stay below 5.0, SpamAssassin's default threshold.
	{"203.0.113.30", "EHLO {mx}", "", "4.9 ADDRESS FORGED IPREV_PERMERROR REJECT SCORE_5", "Junk"},
	// DNS failures cost nothing, even with on_dns_error = "tempfail".
	{good, "EHLO mail.example.org", tryLater + deadDNS, "0.0", "INBOX"},
	// The milter is down, and the header is the sender's.
	{"203.0.113.30", "EHLO {mx}", milterDown, "0.0", "INBOX"},
}

// milterDown instead of a configuration means that the milter is not running.
const milterDown = "down"

// forgedMessage has a header field that a sender forged in order to please the filters.
const forgedMessage = "X-HELO-Check: accept; client=203.0.113.10; helo=mail.example.org; iprev=pass;\n" +
	"\tscore=0.0; rules=none; unsure=none; id=forged\n" + rig.Message

// Real filters with the files of examples/ behind both MTAs. rspamd is a milter after ours. SpamAssassin
// takes seconds to start, so it gets all messages in one run.
func TestSpamFilters(t *testing.T) {
	t.Parallel()
	rspamd := rig.StartRspamd(t, "testdata/rspamd.conf", "../examples/rspamd")
	mails := make([]string, len(rig.MTAs)*len(filterTests))
	t.Run("rspamd and Sieve", func(t *testing.T) {
		for i := range mails {
			mta, tt := rig.MTAs[i%len(rig.MTAs)], filterTests[i/len(rig.MTAs)]
			t.Run(mta+" "+tt.client+" "+tt.says, func(t *testing.T) {
				t.Parallel()
				mail := filterMail(t, mta, rspamd, tt.client, tt.says, tt.config)
				if got := scoreAndSymbols(mail, "X-Spamd-Result"); got != tt.symbols {
					t.Errorf("rspamd: %s, want %s\n%s", got, tt.symbols, mail.Text)
				}
				if got := sieveFolder(t, mail.Text); got != tt.folder {
					t.Errorf("Sieve: %s, want %s\n%s", got, tt.folder, mail.Text)
				}
				mails[i] = fmt.Sprintf("X-Story: %d\n%s", i, mail.Text)
			})
		}
	})
	t.Run("SpamAssassin", func(t *testing.T) {
		const begin = "From sender@example.org Sun Nov 22 08:00:00 2026\n"
		mbox := spamAssassin(t, begin+strings.Join(mails, "\n"+begin), "--mbox")
		texts := strings.Split("\n"+mbox, "\n"+begin)[1:]
		if len(texts) != len(mails) {
			t.Fatalf("%d messages of %d:\n%s", len(texts), len(mails), mbox)
		}
		for _, text := range texts { // in any order
			_, after, _ := strings.Cut(text, "\nX-Story: ")
			i, err := strconv.Atoi(strings.SplitN(after, "\n", 2)[0])
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			tt := filterTests[i/len(rig.MTAs)]
			if got := scoreAndSymbols(rig.Mail{Text: text}, "X-Spam-Found"); got != tt.symbols {
				t.Errorf("%s %s: %s, want %s\n%s", tt.client, tt.says, got, tt.symbols, text)
			}
		}
	})
}

// filterMail returns a message that was delivered through the milter and rspamd.
func filterMail(t *testing.T, mta, rspamd, client, says, config string) rig.Mail {
	t.Helper()
	milter := rig.StartMilter(t, "unix", strings.TrimSuffix(config, milterDown))
	if config == milterDown {
		milter.Stop(t)
	}
	lines := fmt.Sprintf("smtpd_milters = { %s, default_action=accept }, %s\n", milter.Socket, rspamd)
	if mta == "Sendmail" {
		lines = rig.SendmailMilter(milter.Socket) + "\n" +
			strings.Replace(rig.SendmailMilter(rspamd), "helo-milter", "rspamd", 1) + "\n"
	}
	sink := rig.StartSink(t)
	server := rig.Start(t, mta, sink, "", lines, anyHelo[mta])
	mx, _ := server.Addresses()
	addr := netip.MustParseAddr(client)
	script := strings.ReplaceAll(says, "{mx}", mx.String()) + toNet
	rig.Talk(t, addr, server.Endpoint(addr), script, forgedMessage)
	return sink.Wait(t, 1)[0]
}

var (
	foundScore  = regexp.MustCompile(`-?\d+\.\d`)
	foundSymbol = regexp.MustCompile(`HELO_CHECK_(\w+)[(=]`)
)

// scoreAndSymbols returns the score and the sorted symbols in a header such as rspamd's "default: False [1.50
// / 15.00]; SYMBOL(1.50)[]" and SpamAssassin's "1.5 SYMBOL=1.5".
func scoreAndSymbols(mail rig.Mail, name string) string {
	for _, header := range mail.Headers() {
		if header.Name != name {
			continue
		}
		var symbols []string
		for _, symbol := range foundSymbol.FindAllStringSubmatch(header.Value, -1) {
			symbols = append(symbols, symbol[1])
		}
		slices.Sort(symbols)
		return strings.TrimSpace(foundScore.FindString(header.Value) + " " + strings.Join(symbols, " "))
	}
	return "no " + name
}

// spamAssassin filters messages without the network and with no rules but ours.
func spamAssassin(t *testing.T, messages string, args ...string) string {
	t.Helper()
	args = append(args, "--local", "--prefspath=/dev/null", "--configpath=testdata/spamassassin",
		"--siteconfigpath=../examples/spamassassin")
	return filter(t, messages, "spamassassin", args...)
}

// sieveFolder returns the folder in which Dovecot's Sieve files a message. Sieve refuses to run as root, so
// the mailbox is nobody's.
func sieveFolder(t *testing.T, message string) string {
	t.Helper()
	const nobody = 65534
	dir, err := os.MkdirTemp("", "sieve-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	mail := filepath.Join(dir, "mail")
	err = cmp.Or(os.CopyFS(dir, os.DirFS("../examples/sieve")), os.WriteFile(mail, []byte(message), 0o644),
		os.Chown(dir, nobody, nobody))
	if err != nil {
		t.Fatal(err)
	}
	output := filter(t, "", "sieve-test", "-c", "/dev/null", "-o", "mail_location=maildir:"+dir,
		"-o", fmt.Sprint("mail_uid=", nobody), "-o", fmt.Sprint("mail_gid=", nobody),
		filepath.Join(dir, "helo-check.sieve"), mail)
	folder := storedIn.FindStringSubmatch(output)
	if folder == nil {
		t.Fatalf("sieve-test: %s", output)
	}
	return folder[1]
}

var storedIn = regexp.MustCompile(`\* store message in folder: (.*)`)

// filter runs a program and returns its output.
func filter(t *testing.T, message, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.WaitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(message)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// The filters' own checks of the files pass. rspamd says "syntax OK" even where it reports a mistake.
func TestSpamFilterFiles(t *testing.T) {
	t.Parallel()
	if output := spamAssassin(t, "", "--lint"); output != "" {
		t.Errorf("spamassassin --lint: %s", output)
	}
	local, err := filepath.Abs("../examples/rspamd")
	if err != nil {
		t.Fatal(err)
	}
	output := filter(t, "", "rspamadm", "--var=LOCAL_CONFDIR="+local, "--var=DBDIR="+t.TempDir(), "configtest")
	if !strings.Contains(output, "syntax OK") || strings.Contains(output, "HELO_CHECK") {
		t.Errorf("rspamadm configtest: %s", output)
	}
}
