package milter

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode"

	gomilter "github.com/d--j/go-milter"
	"github.com/go-logfmt/logfmt"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/milter/door"
)

// The log has only lines that logfmt can read, of printable text, whatever the client and its DNS say, and
// the MTA gets clean bytes in both modes.
func TestClean(t *testing.T) {
	for name, text := range checkstest.Hostile(t) {
		text = text[:min(len(text), maxFrame-10)] // what the guard lets through
		for _, mode := range []checks.Mode{checks.Observe, checks.Enforce} {
			var log bytes.Buffer
			t.Run(name+" "+mode.String(), func(t *testing.T) { // ends with the server
				address := testServer(t, func(c *door.Config) {
					c.Policy = checks.NewPolicy(checks.Strict)
					c.Policy.Mode = mode
					c.DNS.Resolver.(checkstest.Zone).Set("203.0.113.9", "PTR", text)
					c.Decided = func(d *checks.Decision) { log.Write(append(d.AppendLog(nil, false), '\n')) }
				})
				hear(t, address, text)
			})
			cleanLog(t, &log)
		}
	}
}

var (
	cleanHeader = regexp.MustCompile(`^[ -~]+\n\t[ -~]+$`)
	// The MTA takes %% for a percent sign, and a single one for what it likes.
	cleanReply = regexp.MustCompile(`^([45]\d\d[ -][45]\.\d\.\d{1,3} (?:[ -$&-~]|%%)+(\r\n|$))+$`)
)

// hear says a text in every place, and wants a clean refusal or a clean header.
func hear(t *testing.T, address, text string) {
	t.Helper()
	actions := gomilter.WithActions(gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptSetMacros)
	bag := gomilter.NewMacroBag()
	bag.Set(gomilter.MacroQueueId, text)
	s, err := gomilter.NewClient("unix", address, actions).Session(bag)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	say := func(action *gomilter.Action, err error) *gomilter.Action {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return action
	}
	say(s.Conn("client", gomilter.FamilyInet, 4711, "203.0.113.9"))
	say(s.Helo(text))
	say(s.Mail(text, ""))
	if action := say(s.Rcpt(text, "")); action.Type == gomilter.ActionRejectWithCode {
		if !cleanReply.MatchString(action.SMTPReply) {
			t.Errorf("reply %q", action.SMTPReply)
		}
		return
	}
	say(s.DataStart())
	say(s.HeaderEnd())
	say(s.BodyChunk([]byte("body")))
	changes, _, err := s.End()
	if err != nil || len(changes) != 1 || !cleanHeader.MatchString(changes[0].HeaderValue) {
		t.Errorf("header %+v, %v", changes, err)
	}
}

func cleanLog(t *testing.T, log *bytes.Buffer) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(log.String()) {
		lines++
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), unprintable); i >= 0 {
			t.Errorf("the log has %+q", line[i:min(len(line), i+8)])
		}
	}
	d := logfmt.NewDecoder(log)
	for ; d.ScanRecord(); lines-- {
		got := map[string]string{}
		for d.ScanKeyval() {
			got[string(d.Key())] += string(d.Value())
		}
		done := got["did"] == "accept" || got["did"] == "reject"
		if !done || got["want"] != "reject" || got["client"] != "203.0.113.9" {
			t.Errorf("in the log: %v", got)
		}
	}
	if d.Err() != nil || lines != 0 {
		t.Errorf("the log does not parse: %v", d.Err())
	}
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
