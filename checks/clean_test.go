package checks_test

import (
	"bufio"
	"cmp"
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
	"github.com/go-logfmt/logfmt"
	"github.com/valyala/fastjson"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
)

// Whatever a client and its DNS say, what we write has clean bytes only: none that ends a line, moves a
// terminal's cursor, turns the reading direction or begins what nobody said. Each text is read back by a
// parser that knows nothing of its writer. Each medium by itself is package clean's, see there.

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
		Help:    checks.Help{URL: "https://mx.example.net/" + strings.Repeat("%s/", 59)}, // as long as the configuration takes
	}
	for i, found := range d.Verdict.Findings {
		for _, action := range []checks.Action{checks.TempFail, checks.Reject} {
			v := checks.Verdict{Action: action, Rule: &checks.All[i], Finding: found}
			if found.Result >= checks.Unsure {
				permanent := action == checks.Reject && found.Result == checks.Fail
				cleanReply(t, v.Reply(f, d.ID, d.Time, &d.Help).String(), permanent)
			}
		}
	}
	if d.Verdict.Action != checks.Reject {
		t.Error("strict takes a client whose PTR name is not confirmed")
	}
	cleanHeader(t, d.Verdict.Header(d.ID, f), f.LastHelo().Raw)
	record := d.Record(true)
	cleanRecord(t, record.String(), s)
	if got, want := record.String(), marshalled(t, record); got != want {
		t.Errorf("a record is\n%s\nand by its tags\n%s", got, want)
	}
	cleanLog(t, d)
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

// logNames are what the line of a decision has, in this order, which is a promise: filters rely on it.
var logNames = []string{
	"id", "queue_id", "mta", "client", "helo", "iprev", "want", "did", "rules", "unsure", "score", "ms", "mail_from",
	"rcpt_to",
}

// cleanLog reads the line in the log in both of its forms.
func cleanLog(t *testing.T, d *checks.Decision) {
	t.Helper()
	text, object := string(d.AppendLog(nil, false)), `{"msg":"decision"`+string(d.AppendLog(nil, true))+"}"
	if i := strings.IndexFunc(text+object, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("the log has %+q", (text + object)[i:][:8])
	}
	var got struct {
		Want, Did, Client, Helo string
		Rules, Unsure           []string
		RcptTo                  []string `json:"rcpt_to"`
	}
	if err := json.Unmarshal([]byte(object), &got); err != nil {
		t.Fatalf("the log has %s: %v", object, err)
	}
	names, values := []string{}, map[string]string{}
	line := logfmt.NewDecoder(strings.NewReader(text))
	for line.ScanRecord() {
		for line.ScanKeyval() {
			names = append(names, string(line.Key()))
			values[string(line.Key())] = string(line.Value())
		}
	}
	if line.Err() != nil || !slices.Equal(names, logNames) || strings.Count(text, "\n") > 0 {
		t.Fatalf("the log has %q: %q, %v", text, names, line.Err())
	}
	for name, value := range map[string]string{
		"want": got.Want, "did": got.Did, "client": got.Client, "helo": got.Helo, "rules": strings.Join(got.Rules, ","),
		"unsure": cmp.Or(strings.Join(got.Unsure, ","), "none"),
	} {
		if values[name] != value {
			t.Errorf("%s is %q, and in JSON %q", name, values[name], value)
		}
	}
	if got.Want != "reject" || got.Did != "accept" || got.Client != "203.0.113.9" {
		t.Errorf("the log has %s", text)
	}
}

// A line ends with the recipients, and has no more than its room for them.
func TestLogRoom(t *testing.T) {
	d := &checks.Decision{
		ID: "id1", MTA: "mx1.example.net", MailFrom: "a@example.org", Took: 1234567,
		RcptTo: []string{"b@example.net", strings.Repeat("c", 4000), strings.Repeat("d", 4000)}, Facts: &checks.Facts{},
		Verdict: checks.Verdict{Exempt: "no-address", Score: 0.5},
	}
	text, object := string(d.AppendLog(nil, false)), string(d.AppendLog(nil, true))
	if want := ` id=id1 queue_id="" mta=mx1.example.net client=none helo="" iprev=none want=exempt did=accept ` +
		`rules=none unsure=none score=0.5 ms=1.234 mail_from=a@example.org rcpt_to=b@example.net,c` +
		strings.Repeat("c", 3999); text != want {
		t.Errorf("the log has %s", text)
	}
	if !strings.HasPrefix(object, `,"id":"id1","queue_id":"","mta":"mx1.example.net","client":"none","helo":"",`+
		`"iprev":"none","want":"exempt","did":"accept","rules":[],"unsure":[],"score":0.5,"ms":1.234,`+
		`"mail_from":"a@example.org","rcpt_to":["b@example.net","ccc`) || !strings.HasSuffix(object, `c"]`) {
		t.Errorf("the log has %s", object)
	}
}
