package checks_test

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	rfc5322 "github.com/emersion/go-message/textproto"
	"github.com/valyala/fastjson"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// Whatever a client and its DNS say, what we write has clean bytes only: none that ends a line, moves a
// terminal's cursor, turns the reading direction or begins what nobody said. Each text is read back by a
// parser that knows nothing of its writer. The log is package milter's, and each medium by itself is
// package clean's, see there.

func TestClean(t *testing.T) {
	const helo, ptr, from, rcpt = "mail.example.org", "out.example.org", "a@example.org", "b@example.net"
	for name, text := range checkstest.Hostile(t) {
		for place, s := range map[string]said{
			"HELO":       {text, ptr, from, rcpt},
			"PTR":        {helo, text, from, rcpt},
			"MAIL FROM":  {helo, ptr, text, rcpt},
			"RCPT TO":    {helo, ptr, from, text},
			"everything": {text, text, text, text},
		} {
			t.Run(name+" as "+place, s.check)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, text := range checkstest.Hostile(f) {
		f.Add(text, text, text, text)
	}
	f.Fuzz(func(t *testing.T, helo, ptr, from, rcpt string) { said{helo, ptr, from, rcpt}.check(t) })
}

// said is what a client says, and what its DNS says.
type said struct{ helo, ptr, from, rcpt string }

// check judges a client that changes its HELO and whose PTR name is not confirmed, so that each text finds
// its way into findings, verdict and replies.
func (s said) check(t *testing.T) {
	client, ptr := netip.MustParseAddr("203.0.113.9"), checks.Canonical(s.ptr)
	f := &checks.Facts{
		Client: client,
		PTR:    checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{{Name: ptr}}},
		Greetings: []checks.Greeting{{Helo: checks.ParseHelo("mail.example.org")}, {
			Helo: checks.ParseHelo(s.helo),
			A:    checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{client}},
			MX:   checks.Answer[string]{Status: checks.Found, Values: []string{ptr}},
		}},
		MTAResolve: checks.MTAResolve{Resolve: "FORGED", Name: s.ptr, PTR: s.ptr},
	}
	d := &checks.Decision{
		ID: "id1", QueueID: s.from, MTA: ptr, MailFrom: s.from, RcptTo: []string{s.rcpt, s.rcpt}, Facts: f,
		Verdict: checks.NewPolicy(checks.Strict).Decide(checks.Evaluate(f, nil, checks.Domain(s.rcpt))),
		HelpURL: "https://mx.example.net/" + strings.Repeat("%s/", 59), // as long as the configuration takes
	}
	for i, found := range d.Verdict.Findings {
		for _, action := range []checks.Action{checks.TempFail, checks.Reject} {
			v := checks.Verdict{Action: action, Rule: &checks.All[i], Finding: found}
			if found.Result >= checks.Unsure {
				permanent := action == checks.Reject && found.Result == checks.Fail
				cleanReply(t, v.Reply(f, d.HelpURL).String(), permanent)
			}
		}
	}
	if d.Verdict.Action != checks.Reject {
		t.Error("strict takes a client whose PTR name is not confirmed")
	}
	cleanHeader(t, d.Verdict.Header(d.ID, f), f.LastHelo().Raw)
	cleanRecord(t, d.Record(true).String(), s)
}

// ascii is a line of the header or of a reply. Only a fold begins with a tab.
var ascii = regexp.MustCompile(`^\t?[ -~]+$`)

var headerFields = regexp.MustCompile(`^(accept|tempfail|reject|exempt); client=203\.0\.113\.9; ` +
	`helo=([A-Za-z0-9.:\[\]_?-]*); iprev=(pass|fail|temperror|permerror|none); score=\d+\.\d; ` +
	`rules=[a-z,-]+; unsure=[a-z,-]+; id=id1$`)

// cleanHeader reads the field within a message, by RFC 5322.
func cleanHeader(t *testing.T, value, helo string) {
	t.Helper()
	lines := strings.ReplaceAll("X-HELO-Check: "+value, "\n", "\r\n")
	header, err := rfc5322.ReadHeader(bufio.NewReader(strings.NewReader(lines + "\r\nSubject: a\r\n\r\nbody")))
	if err != nil || header.Len() != 2 || header.Get("Subject") != "a" {
		t.Fatalf("header %q: %+v, %v", value, header, err)
	}
	part := headerFields.FindStringSubmatch(header.Get("X-HELO-Check"))
	if part == nil || len(part[2]) != min(len(helo), 255) {
		t.Errorf("header %q", value)
	}
	for line := range strings.SplitSeq(lines, "\r\n") {
		if !ascii.MatchString(line) || len(line) > 998 { // RFC 5322 §2.1.1
			t.Errorf("a line of the header is %q", line)
		}
	}
}

var enhanced = regexp.MustCompile(`^[45]\.\d\.\d{1,3}$`)

// cleanReply reads the reply as an SMTP client does: RFC 5321 §4.2.1, and RFC 2034 §4 for the classes.
func cleanReply(t *testing.T, reply string, permanent bool) {
	t.Helper()
	wire := strings.ReplaceAll(reply, "\n", "\r\n") + "\r\n"
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(wire)))
	code, text, err := r.ReadResponse(0)
	class := map[bool]string{false: "4", true: "5"}[permanent]
	if rest, _ := r.R.Peek(1); err != nil || len(rest) > 0 || strconv.Itoa(code)[:1] != class {
		t.Fatalf("reply %q, permanent: %t: %v", reply, permanent, err)
	}
	lines := strings.Split(text, "\n")
	if len(lines) > 5 || strings.Count(text, `"`) != 2 { // the HELO is all that is quoted
		t.Errorf("reply %q", reply)
	}
	for _, line := range lines { // 400 bytes of text are far from the 512 of RFC 5321 §4.5.3.1.5
		status, text, _ := strings.Cut(line, " ")
		if !enhanced.MatchString(status) || status[:1] != class || !ascii.MatchString(text) || len(text) > 400 {
			t.Errorf("a line of reply %d is %q", code, line)
		}
	}
}

// cleanRecord reads the record as JSON, which must be fit for a terminal, too.
func cleanRecord(t *testing.T, line string, s said) {
	t.Helper()
	if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("a record has %+q", line[i:min(len(line), i+8)])
	}
	if err := fastjson.Validate(line); err != nil {
		t.Fatalf("record %q: %v", line, err)
	}
	var got struct {
		Helo     string   `json:"helo"`
		MailFrom string   `json:"mail_from"`
		RcptTo   []string `json:"rcpt_to"`
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("record %q: %v", line, err)
	}
	// What is no UTF-8 becomes U+FFFD, byte by byte, as it does in a conversion to runes.
	from, rcpt := string([]rune(s.from)), string([]rune(s.rcpt))
	same := got.Helo == checks.ParseHelo(s.helo).Raw && got.MailFrom == from
	if !same || !slices.Equal(got.RcptTo, []string{rcpt, rcpt}) {
		t.Errorf("%+v became %+v", s, got)
	}
}
