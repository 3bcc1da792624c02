package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"helo-milter/checks"
	"helo-milter/dnscache/dnstest"
)

// realCase is a line of testdata/real-cases.jsonl: what a public bug report, or the documentation of software
// that people run, shows of a sender or of a file, and what has to come of it.
type realCase struct {
	ID     string      `json:"id"`
	Kind   string      `json:"kind"` // see kinds
	Source string      `json:"source"`
	Expect expectation `json:"expect"`

	// DNS has a value for "NAME TYPE": the data of the records, or NXDOMAIN, NODATA, SERVFAIL, REFUSED or
	// TIMEOUT. An address as a name stands for its reverse name. A name that is not there does not exist.
	DNS    map[string]any `json:"dns"`
	Hook   string         `json:"hook"` // a habit of the DNS server: a misbehaviour of dnstest with underscores
	Config map[string]any `json:"config"`

	IP    string   `json:"ip"` // of check, check-mail and session
	Helos []string `json:"helos"`
	Rcpt  []string `json:"rcpt"`

	File string   `json:"file"` // of replay
	Text string   `json:"text"`
	Args []string `json:"args"` // of replay and selftest
}

// expectation is what is expected of a case, and of each hop of one. An empty field expects nothing.
type expectation struct {
	hopExpectation
	Hops     []hopExpectation `json:"hops"`      // these, and no others
	OrHops   []hopExpectation `json:"or_hops"`   // is right, too
	Broken   *int             `json:"broken"`    // how many items could not be read
	OrBroken *int             `json:"or_broken"` // is right, too
	TextHas  []string         `json:"text_has"`  // in what is printed for people
	TextNot  []string         `json:"text_lacks"`
}

type hopExpectation struct {
	Client    string   `json:"client"`
	Helo      string   `json:"helo"`
	Exempt    string   `json:"exempt"`
	Want      string   `json:"want"`
	WantNot   string   `json:"want_not"`
	Iprev     string   `json:"iprev"`
	Fail      []string `json:"fail"`
	NotFail   []string `json:"not_fail"`
	Unsure    []string `json:"unsure"`
	NotUnsure []string `json:"not_unsure"`
}

// kinds are how a case is run.
var kinds = map[string]func(*realCase, *testing.T, string) outcome{
	"check":      (*realCase).check,
	"session":    (*realCase).check,
	"check-mail": (*realCase).checkMail,
	"selftest":   (*realCase).selftest,
	"replay":     (*realCase).replay,
}

// outcome is what came of a case.
type outcome struct {
	records []*checks.Record
	broken  int
	text    string
}

func TestRealCases(t *testing.T) {
	for c := range realCases(t) {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			run, ok := kinds[c.Kind]
			if !ok {
				t.Fatalf("unknown kind %q", c.Kind)
			}
			got := run(c, t, c.configuration(t))
			if list := c.mistakes(&got); len(list) > 0 {
				t.Errorf("%s\nsource: %s\ngot: %s", strings.Join(list, "\n"), c.Source, got.String())
			}
		})
	}
}

// realCases reads the cases.
func realCases(t *testing.T) iter.Seq[*realCase] {
	file, err := os.ReadFile("testdata/real-cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(*realCase) bool) {
		seen := map[string]bool{}
		for line := range bytes.Lines(file) {
			c := &realCase{}
			decoder := json.NewDecoder(bytes.NewReader(line))
			decoder.DisallowUnknownFields() // a key that is not understood expects something
			if err := decoder.Decode(c); err != nil {
				t.Fatalf("%v in %.80s", err, line)
			}
			if seen[c.ID] || c.ID == "" || c.Source == "" {
				t.Fatalf("an ID that is there twice, or without a source: %.80s", line)
			}
			seen[c.ID] = true
			if !yield(c) {
				return
			}
		}
	}
}

// mistakes are the differences from what is expected.
func (c *realCase) mistakes(got *outcome) (list []string) {
	e := &c.Expect
	if len(e.Hops)+len(e.OrHops) > 0 || e.Broken != nil {
		switch {
		case e.OrBroken != nil && got.broken == *e.OrBroken,
			len(e.OrHops) > 0 && differ(e.OrHops, got.records) == nil:
			return nil
		}
		if len(e.Hops) > 0 {
			list = differ(e.Hops, got.records)
		}
		if e.Broken != nil && got.broken != *e.Broken {
			list = append(list, fmt.Sprintf("broken %d, want %d", got.broken, *e.Broken))
		}
	} else if len(got.records) == 1 {
		list = e.differ(got.records[0])
	}
	text := strings.Join(strings.Fields(got.text), " ")
	for _, piece := range e.TextHas {
		if !strings.Contains(text, piece) {
			list = append(list, fmt.Sprintf("the text lacks %q", piece))
		}
	}
	for _, piece := range e.TextNot {
		if strings.Contains(text, piece) {
			list = append(list, fmt.Sprintf("the text has %q", piece))
		}
	}
	return list
}

func differ(want []hopExpectation, records []*checks.Record) (list []string) {
	if len(records) != len(want) {
		return []string{fmt.Sprintf("%d hops, want %d", len(records), len(want))}
	}
	for i, record := range records {
		list = append(list, want[i].differ(record)...)
	}
	return list
}

// differ is what a record has otherwise.
func (e *hopExpectation) differ(r *checks.Record) (list []string) {
	for _, p := range []struct{ what, got, want string }{
		{"client", r.Client.String(), e.Client},
		{"helo", r.Helo.Raw, e.Helo},
		{"exempt", r.Exempt, e.Exempt},
		{"want", r.Verdict.Want, e.Want},
		{"iprev", r.Iprev, e.Iprev},
	} {
		if p.want != "" && p.got != p.want {
			list = append(list, fmt.Sprintf("%s is %q, want %q", p.what, p.got, p.want))
		}
	}
	if e.WantNot != "" && r.Verdict.Want == e.WantNot {
		list = append(list, "want is "+e.WantNot)
	}
	results := map[string]checks.Result{}
	for _, f := range r.Findings {
		results[f.Rule] = f.Result
	}
	for _, p := range []struct {
		rules  []string
		result checks.Result
		is     bool
	}{
		{e.Fail, checks.Fail, true},
		{e.NotFail, checks.Fail, false},
		{e.Unsure, checks.Unsure, true},
		{e.NotUnsure, checks.Unsure, false},
	} {
		for _, rule := range p.rules {
			if !slices.ContainsFunc(checks.All, func(r checks.Rule) bool { return r.Name == rule }) {
				list = append(list, "unknown rule "+rule)
			}
			if (results[rule] == p.result) != p.is {
				list = append(list, fmt.Sprintf("that %s is %s: want %t", rule, p.result, p.is))
			}
		}
	}
	return list
}

func (got *outcome) String() string {
	text := fmt.Sprintf("broken %d\n%s", got.broken, got.text)
	for _, r := range got.records {
		text += fmt.Sprintf("%s %q exempt=%q want=%s", r.Client, r.Helo.Raw, r.Exempt, r.Verdict.Want)
		text += " iprev=" + r.Iprev
		for _, f := range r.Findings {
			text += fmt.Sprintf(" %s:%s:%s", f.Rule, f.Result, f.Action)
		}
		text += "\n"
	}
	return text
}

func (c *realCase) check(t *testing.T, config string) outcome {
	got := outcome{records: []*checks.Record{c.judge(t, config)}}
	if len(c.Expect.TextHas)+len(c.Expect.TextNot) > 0 {
		got.text = c.printed(t, config, "check", c.client()...)
	}
	return got
}

// judge judges the client as the command check does. Several greetings are one session, and none is MAIL
// without HELO.
func (c *realCase) judge(t *testing.T, config string) *checks.Record {
	p := &program{ctx: t.Context(), config: config, stdout: t.Output(), stderr: t.Output()}
	q, err := p.inquire(nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := netip.ParseAddr(c.IP)
	if err != nil {
		t.Fatal(err)
	}
	s := q.Open(p.ctx, &q.cfg.DNS, client.Unmap(), q.Site)
	defer s.Close()
	for _, helo := range c.Helos {
		s.Greet(checks.ParseHelo(helo))
	}
	s.Mail(time.Now())
	s.Rcpts(c.Rcpt)
	return s.Decision().Record(false)
}

func (c *realCase) checkMail(t *testing.T, config string) outcome {
	return outcome{text: c.printed(t, config, "check", append([]string{"--mail"}, c.client()...)...)}
}

// client are the arguments of check.
func (c *realCase) client() (args []string) {
	for _, rcpt := range c.Rcpt {
		args = append(args, "--rcpt", rcpt)
	}
	return append(args, append([]string{"--", c.IP}, c.Helos...)...)
}

func (c *realCase) selftest(t *testing.T, config string) outcome {
	return outcome{text: c.printed(t, config, "selftest", c.Args...)}
}

func (c *realCase) replay(t *testing.T, config string) outcome {
	file := filepath.Join(filepath.Dir(config), c.File)
	writeFile(t, file, c.Text)
	var got outcome
	args := append([]string{"--json", file}, c.Args...)
	for line := range strings.Lines(c.printed(t, config, "replay", args...)) {
		record := &checks.Record{}
		if json.Unmarshal([]byte(line), record) == nil {
			got.records = append(got.records, record)
			continue
		}
		got.text += line
		if found := omitted.FindStringSubmatch(line); found != nil {
			got.broken, _ = strconv.Atoi(found[1])
		}
	}
	return got
}

var omitted = regexp.MustCompile(`helo-milter: (\d+) items omitted`)

// printed is what a command prints.
func (c *realCase) printed(t *testing.T, config, command string, args ...string) string {
	var out bytes.Buffer
	run(t.Context(), append([]string{command, "--config", config}, args...), nil, &out, &out)
	return out.String()
}

// configuration writes the configuration of the case, with the address of a DNS server for it.
func (c *realCase) configuration(t *testing.T) string {
	config := c.Config
	if config == nil {
		config = map[string]any{}
	}
	dns, _ := config["dns"].(map[string]any)
	if dns == nil {
		dns = map[string]any{}
	}
	dns["servers"] = []string{dnstest.Start(t, c.zone(t)).Addr()}
	config["dns"] = dns
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(config); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "helo-milter.toml")
	date := regexp.MustCompile(`(?m)^(\s*until = )"(\d{4}-.*)"$`)
	writeFile(t, name, date.ReplaceAllString(text.String(), "$1$2"))
	return name
}

// zone is the zone text of the case's DNS, see dnstest.
func (c *realCase) zone(t *testing.T) string {
	failures := map[string]string{"SERVFAIL": "servfail", "REFUSED": "refused", "TIMEOUT": "drop"}
	var zone strings.Builder
	if c.Hook != "" {
		fmt.Fprintf(&zone, ". TXT dnstest %s\n", strings.ReplaceAll(c.Hook, "_", "-"))
	}
	for question, answer := range c.DNS {
		name, qtype, ok := strings.Cut(question, " ")
		data, isText := answer.(string)
		values, isList := answer.([]any)
		switch {
		case !ok || !isText && !isList:
			t.Fatalf("unknown form: %s %v", question, answer)
		case data == "NXDOMAIN":
		case data == "NODATA":
			fmt.Fprintf(&zone, "%s. HINFO a name that.is.there\n", name)
		case isText:
			word := cmp.Or(failures[data], "unknown-answer-"+data)
			fmt.Fprintf(&zone, "%s. TXT dnstest %s %s\n", name, word, qtype)
		}
		for _, value := range values {
			fmt.Fprintf(&zone, "%s. %s %s\n", name, qtype, presentation(qtype, value.(string)))
		}
	}
	return zone.String()
}

// presentation is the data of a record as zone text has it: with the final dot of a name, or in quotes.
func presentation(qtype, value string) string {
	switch qtype {
	case "PTR", "CNAME", "MX", "NS":
		return strings.TrimSuffix(value, ".") + "."
	case "TXT":
		return strconv.Quote(value)
	default:
		return value
	}
}
