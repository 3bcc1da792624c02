package opensmtpd

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testZone = `
203.0.113.1       PTR   mail.example.org.
mail.example.org  A     203.0.113.1
2001:db8::1       PTR   six.example.org.
six.example.org   AAAA  2001:db8::1
203.0.113.4       TXT   "dnstest" "servfail" "PTR"
203.0.113.5       TXT   "dnstest" "drop" "PTR"
`

func testConfig(t testing.TB) *door.Config {
	cfg := &door.Config{
		Judge: &checks.Judge{
			Policy: checks.NewPolicy(checks.Standard),
			Exempt: &checks.Exemptions{Private: true, Authenticated: true},
		},
		DNS:    &checks.DNS{Resolver: checkstest.Parse(t, testZone), Timeout: time.Second},
		Header: "X-HELO-Check",
		Log:    slog.New(slog.DiscardHandler),
	}
	cfg.Policy.Mode = checks.Enforce
	return cfg
}

// smtpd writes what smtpd says for a script, and keeps in mind what it may be answered. Items of a script
// stand on lines or between semicolons:
//
//	C ADDRESS [NAME FCRDNS]  a connection
//	H NAME, A USER RESULT    link-identify, link-auth
//	M FROM, R TO, D          the requests mail-from with the report tx-mail, rcpt-to, and data
//	=TEXT                    a data line
//	. and X and Q            the end of a message that is accepted, tx-rollback, link-disconnect
//	S SESSION                the lines that follow are of another session
type smtpd struct {
	strings.Builder
	minor   int
	session string
}

const handshake = "config|smtpd-version|7.8.0\nconfig|smtp-session-timeout|300\nconfig|subsystem|smtp-in\n" +
	"config|admd|mx.example.net\nconfig|ready\n"

func newSmtpd() *smtpd {
	s := &smtpd{minor: 6, session: "7641df9771b4ed00"}
	s.WriteString(handshake)
	return s
}

func (s *smtpd) says(kind, name string, params ...string) {
	fields := []string{kind, fmt.Sprint("0.", s.minor), "1795899279.171370", "smtp-in", name, s.session}
	fmt.Fprintln(s, strings.Join(append(fields, params...), "|"))
}

func (s *smtpd) play(script string) string {
	const token = "4b39fee7e91f796a"
	for item := range strings.FieldsFuncSeq(script, func(r rune) bool { return r == ';' || r == '\n' }) {
		verb, rest, _ := strings.Cut(strings.TrimLeft(item, " \t"), " ")
		fields := strings.Fields(rest)
		switch {
		case strings.HasPrefix(verb, "="):
			_, text, _ := strings.Cut(item, "=")
			s.says("filter", "data-line", token, text)
		case verb == "S":
			s.session = rest
		case verb == "C":
			fields = append(fields, "<unknown>", "fail")
			s.says("report", "link-connect", fields[1], fields[2], fields[0], "192.0.2.25:25")
		case verb == "H":
			s.says("report", "link-identify", "EHLO", rest)
		case verb == "A" && s.minor < resultFirst:
			s.says("report", "link-auth", fields[0], fields[1])
		case verb == "A":
			s.says("report", "link-auth", fields[1], fields[0])
		case verb == "M":
			s.says("filter", "mail-from", token, rest)
			s.says("report", "tx-mail", "85758d77", "ok", rest)
		case verb == "R":
			s.says("filter", "rcpt-to", token, rest)
		case verb == "D":
			s.says("filter", "data", token, "")
		case verb == ".":
			s.says("filter", "data-line", token, ".")
			s.says("report", "tx-commit", "85758d77", "100")
		case verb == "X":
			s.says("report", "tx-rollback", "85758d77")
		case verb == "Q":
			s.says("report", "link-disconnect")
		default:
			panic(item)
		}
	}
	return s.String()
}

// answers has a filter read that, and returns what it has registered and answered.
func answers(t testing.TB, cfg *door.Config, lines string) (registered, answered string, err error) {
	t.Helper()
	var out bytes.Buffer
	f := New(cfg, strings.NewReader(lines), &out)
	err = f.Serve()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := f.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if f.Transactions() != 0 || f.Sessions() != 0 {
		t.Errorf("%d transactions and %d sessions are open", f.Transactions(), f.Sessions())
	}
	const ready = "register|ready\n"
	registered, answered, _ = strings.Cut(out.String(), ready)
	return registered + ready, answered, err
}

var (
	known  = regexp.MustCompile(`(?m)^(filter-result|filter-dataline)\|7641df9771b4ed00\|4b39fee7e91f796a\|`)
	header = regexp.MustCompile(`(?s)X-HELO-Check: (\w+); client=.*? helo=(\S*);.*?rules=(\S*); unsure=(\S*); id=\w{26}\n`)
	reject = regexp.MustCompile(`(?m)^reject\|(\d+ [\d.]+) .* Rule: (\S+) Id: \S+$`)
)

// summary shortens answers: a reply to its codes and its rule, and our field to its values.
func summary(answered string) string {
	text := known.ReplaceAllString(answered, "")
	text = header.ReplaceAllString(text, "[$1 $2 $3 $4]\n")
	text = reject.ReplaceAllString(text, "$1 $2")
	return strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "; ")
}
