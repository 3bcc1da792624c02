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

// filtered is what the filters of examples/ make of a message that came through the milter in observe mode:
// the score and the symbols in SpamAssassin and in rspamd, without HELO_CHECK_, and Sieve's folder.
var filtered = []struct{ client, says, config, found, folder string }{
	{good, "EHLO mail.example.org", "", "0.0", "INBOX"},
	{"127.0.0.1", "EHLO friend", "", "0.0", "INBOX"}, // exempt
	{good, "EHLO friend", "", "0.5 SCORE_2", "INBOX"},
	{good, "EHLO friend", tempfailAt + "2", "1.0 SCORE_2 TEMPFAIL", "INBOX"},
	{good, "EHLO friend", "[scores]\nhelo-not-fqdn = 12.0", "2.0 SCORE_5", "Junk"},
	{"203.0.113.30", "EHLO friend", "", "1.6 IPREV_PERMERROR SCORE_3", "INBOX"},
	{"203.0.113.32", "EHLO forged.example.org", "", "0.9 IPREV_FAIL SCORE_2", "INBOX"},
	{good, "EHLO 0x7f000001", "", "2.7 ADDRESS REJECT SCORE_3", "Junk"},
	// Where a rule only marks, Sieve looks for its name.
	{
		"206.125.175.2", "EHLO bob.microsoft.com", "[rules]\nhelo-forged-brand = \"mark\"",
		"2.2 FORGED SCORE_3", "Junk",
	},
	{
		good, "EHLO mx.example.net", "[rules]\nhelo-own-name = \"mark\"\n[scores]\nhelo-own-name = 1.0",
		"1.5 FORGED SCORE_2", "Junk",
	},
	// All at once is less than the 5.0 of a SpamAssassin that was told nothing.
	{"203.0.113.30", "EHLO {mx}", "", "4.9 ADDRESS FORGED IPREV_PERMERROR REJECT SCORE_5", "Junk"},
	// DNS trouble costs nothing, even where the policy is to try later.
	{good, "EHLO mail.example.org", tryLater + deadDNS, "0.0", "INBOX"},
	// The milter is down, and the header is the sender's own.
	{"203.0.113.30", "EHLO {mx}", down, "0.0", "INBOX"},
}

// down instead of a configuration means that the milter has ended.
const down = "down"

// flattery is what a sender writes who knows the filters.
const flattery = "X-HELO-Check: accept; client=203.0.113.10; helo=mail.example.org; iprev=pass;\n" +
	"\tscore=0.0; rules=none; unsure=none; id=forged\n" + rig.Message

// Real filters with the files of examples/, behind both MTAs. rspamd is a milter after ours. SpamAssassin takes
// seconds to start, and gets all messages at once.
func TestFilters(t *testing.T) {
	t.Parallel()
	rspamd := rig.StartRspamd(t, "testdata/rspamd.conf", "../examples/rspamd")
	mails := make([]string, len(rig.Programs)*len(filtered))
	t.Run("rspamd and Sieve", func(t *testing.T) {
		for i := range mails {
			mta, tt := rig.Programs[i%len(rig.Programs)], filtered[i/len(rig.Programs)]
			t.Run(mta+" "+tt.client+" "+tt.says, func(t *testing.T) {
				t.Parallel()
				mail := filterMail(t, mta, rspamd, tt.client, tt.says, tt.config)
				if got := found(mail, "X-Spamd-Result"); got != tt.found {
					t.Errorf("rspamd: %s, want %s\n%s", got, tt.found, mail.Text)
				}
				if got := junkOrInbox(t, mail.Text); got != tt.folder {
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
		for _, text := range texts { // in an order of its own
			_, after, _ := strings.Cut(text, "\nX-Story: ")
			i, err := strconv.Atoi(strings.SplitN(after, "\n", 2)[0])
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			tt := filtered[i/len(rig.Programs)]
			if got := found(rig.Mail{Text: text}, "X-Spam-Found"); got != tt.found {
				t.Errorf("%s %s: %s, want %s\n%s", tt.client, tt.says, got, tt.found, text)
			}
		}
	})
}

// filterMail is a message that was delivered through the milter and rspamd.
func filterMail(t *testing.T, mta, rspamd, client, says, config string) rig.Mail {
	t.Helper()
	milter := rig.StartMilter(t, "unix", strings.TrimSuffix(config, down))
	if config == down {
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
	rig.Talk(t, addr, server.Endpoint(addr), script, flattery)
	return sink.Wait(t, 1)[0]
}

var (
	foundScore  = regexp.MustCompile(`-?\d+\.\d`)
	foundSymbol = regexp.MustCompile(`HELO_CHECK_(\w+)[(=]`)
)

// found is the score and the sorted symbols in a header such as rspamd's "default: False [1.50 / 15.00];
// SYMBOL(1.50)[]" and SpamAssassin's "1.5 SYMBOL=1.5".
func found(mail rig.Mail, name string) string {
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

// spamAssassin is what it makes of messages without network and with no rules but ours.
func spamAssassin(t *testing.T, messages string, args ...string) string {
	t.Helper()
	args = append(args, "--local", "--prefspath=/dev/null", "--configpath=testdata/spamassassin",
		"--siteconfigpath=../examples/spamassassin")
	return filter(t, messages, "spamassassin", args...)
}

// junkOrInbox is where Dovecot's Sieve files a message. It refuses to work for root, so that is nobody's.
func junkOrInbox(t *testing.T, message string) string {
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
	said := filter(t, "", "sieve-test", "-c", "/dev/null", "-o", "mail_location=maildir:"+dir,
		"-o", fmt.Sprint("mail_uid=", nobody), "-o", fmt.Sprint("mail_gid=", nobody),
		filepath.Join(dir, "helo-check.sieve"), mail)
	folder := sieveFolder.FindStringSubmatch(said)
	if folder == nil {
		t.Fatalf("sieve-test: %s", said)
	}
	return folder[1]
}

var sieveFolder = regexp.MustCompile(`\* store message in folder: (.*)`)

// filter runs a program and returns what it said.
func filter(t *testing.T, message, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(message)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// What the filters say of the files by themselves. rspamd finds the syntax right even where it says what is
// wrong.
func TestFilterFiles(t *testing.T) {
	t.Parallel()
	if said := spamAssassin(t, "", "--lint"); said != "" {
		t.Errorf("spamassassin --lint: %s", said)
	}
	local, err := filepath.Abs("../examples/rspamd")
	if err != nil {
		t.Fatal(err)
	}
	said := filter(t, "", "rspamadm", "--var=LOCAL_CONFDIR="+local, "--var=DBDIR="+t.TempDir(), "configtest")
	if !strings.Contains(said, "syntax OK") || strings.Contains(said, "HELO_CHECK") {
		t.Errorf("rspamadm configtest: %s", said)
	}
}
