package integration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	gomilter "github.com/d--j/go-milter"
	"github.com/go-logfmt/logfmt"

	"helo-milter/checks/checkstest"
	"helo-milter/integration/rig"
)

// cleanLog wants decisions in the milter's log, and nothing in it that is not printable or that logfmt cannot
// read.
func cleanLog(t *testing.T, log string, decisions int) {
	t.Helper()
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "time=") {
			continue // what is to be pasted into main.cf
		}
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), unprintable); i >= 0 {
			t.Errorf("the log has %+q", line[i:min(len(line), i+8)])
		}
		got := map[string]string{}
		d := logfmt.NewDecoder(strings.NewReader(line))
		for d.ScanRecord() {
			for d.ScanKeyval() {
				got[string(d.Key())] = string(d.Value())
			}
		}
		if d.Err() != nil {
			t.Errorf("the log does not parse: %v\n%q", d.Err(), line)
		}
		if got["msg"] == "decision" && got["client"] == "203.0.113.9" && got["want"] == "reject" {
			decisions--
		}
	}
	if decisions > 0 {
		t.Errorf("%d decisions are not in the log:\n%q", decisions, log)
	}
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

var printable = regexp.MustCompile(`^[ -~\n]*$`)

// Hostile texts in HELO, MAIL FROM and RCPT TO, said to an MTA. What it takes for no address is said again
// as one, so that each session comes to a decision. Another transaction follows.
func TestCleanMTA(t *testing.T) {
	texts := checkstest.Hostile(t)
	for name, text := range texts {
		if strings.ContainsAny(text, "\r\n") {
			delete(texts, name) // to Postfix that is the end of the command
		}
	}
	const script = "EHLO %|MAIL FROM:<%@example.org>|MAIL FROM:<\"%\"@example.org>|MAIL FROM:<a@example.org>|" +
		"RCPT TO:<%@example.net>|RCPT TO:<\"%\"@example.net>|RCPT TO:<reader@example.net>|DATA|" +
		"RSET|MAIL FROM:<a@example.org>|RCPT TO:<last@example.net>|QUIT"
	client := netip.MustParseAddr("203.0.113.9")
	patient := map[string]string{
		"Postfix": "smtpd_soft_error_limit = 9", "Sendmail": "define(`confALLOW_BOGUS_HELO', `True')dnl",
	}
	someWays(t, func(t *testing.T, w way) {
		t.Parallel()
		milter := rig.StartMilter(t, w.network, fmt.Sprintf("mode = %q\n%s\n", w.mode, strict))
		sink := rig.StartSink(t)
		server := rig.Start(t, w.mta, sink, milter.Socket, patient[w.mta])
		s := session{T: t, way: w, client: client}
		for name, text := range texts {
			if w.mta == "Sendmail" { // which hangs up when a line is long (RFC 5321 §4.5.3.1.4 has 512)
				text = text[:min(len(text), 400)]
			}
			said := strings.ReplaceAll(script, "%", strings.ReplaceAll(text, "|", "!")) // the script's own
			s.replies = rig.Talk(t, client, server.Endpoint(client), said, rig.Message)
			for _, reply := range s.replies {
				ours := w.mta == "Postfix" || reply.Said == "RCPT TO:<reader@example.net>" // Sendmail repeats paths
				if ours && !printable.MatchString(reply.Text) {
					t.Errorf("%s: reply %q", name, reply.Text)
				}
			}
			reply := s.reply("RCPT TO:<reader")
			if want := map[string]int{"observe": 2, "enforce": 5}[w.mode]; reply.Code/100 != want {
				t.Errorf("%s: %+v", name, s.replies)
			} else if want == 5 {
				s.wellFormed(reply)
			}
		}
		milter.Stop(t) // its log is complete then
		cleanLog(t, milter.Log(), len(texts))
		if w.mode == "enforce" {
			return
		}
		for _, mail := range sink.Wait(t, len(texts)) {
			if value := s.onlyHeader(mail); !grammar.MatchString(value) || !printable.MatchString(value) {
				t.Errorf("header %q", value)
			}
		}
	})
}

// The same with the bytes that Postfix keeps to itself, said to the milter by go-milter's client.
func TestCleanMilter(t *testing.T) {
	texts := checkstest.Hostile(t)
	someWays(t, func(t *testing.T, w way) {
		t.Parallel()
		decisions := filepath.Join(t.TempDir(), "decisions")
		config := fmt.Sprintf("mode = %q\ndecision_log = %q\n%s\n", w.mode, decisions, strict)
		milter := rig.StartMilter(t, w.network, config)
		for name, text := range texts {
			refused := w.mode == "enforce"
			reply, header, err := speak(milter.Socket, text[:min(len(text), 65000)]) // a frame has at most 64 KiB
			if err != nil || milterReply.MatchString(reply) != refused || milterHeader.MatchString(header) == refused {
				t.Errorf("%s: reply %q, header %q, %v", name, reply, header, err)
			}
		}
		milter.Stop(t) // its log is complete then
		cleanLog(t, milter.Log(), len(texts))
		cleanRecords(t, decisions, len(texts))
	})
}

// cleanRecords wants a line of JSON for each decision, which a terminal can show.
func cleanRecords(t *testing.T, file string, decisions int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) || strings.ContainsFunc(line, unprintable) {
			t.Errorf("record %q", line)
		}
	}
	if len(lines) < decisions {
		t.Errorf("%d records of %d decisions", len(lines), decisions)
	}
}

// What the milter gives to the MTA, for which %% is a percent sign.
var (
	milterReply  = regexp.MustCompile(`^(5\d\d[ -]5\.\d\.\d{1,3} (?:[ -$&-~]|%%)+(\r\n|$))+$`)
	milterHeader = regexp.MustCompile(`^reject; [ -~]+\n\t[ -~]+$`)
)

// speak says a text to the milter in every place and returns what it gives to the MTA. Behind a refusal
// another transaction follows.
func speak(socket, text string) (reply, header string, _ error) {
	network, address, _ := strings.Cut(socket, ":")
	network = map[string]string{"unix": "unix", "inet": "tcp"}[network]
	actions := gomilter.WithActions(gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptSetMacros)
	s, err := gomilter.NewClient(network, address, actions).Session(gomilter.NewMacroBag())
	if err != nil {
		return "", "", err
	}
	defer s.Close()
	var failed error
	say := func(action *gomilter.Action, err error) *gomilter.Action {
		failed = cmp.Or(failed, err)
		return action
	}
	say(s.Conn("client", gomilter.FamilyInet, 4711, "203.0.113.9"))
	say(s.Helo(text))
	say(s.Mail(text, ""))
	if first := say(s.Rcpt(text, "")); failed == nil && first.Type == gomilter.ActionRejectWithCode {
		say(nil, s.Abort(nil))
		say(s.Mail(text, ""))
		say(s.Rcpt(text, ""))
		return first.SMTPReply, "", failed
	}
	say(s.DataStart())
	say(s.HeaderEnd())
	say(s.BodyChunk([]byte("body")))
	changes, _, err := s.End()
	if failed = cmp.Or(failed, err); failed != nil || len(changes) != 1 {
		return "", "", fmt.Errorf("%+v, %w", changes, failed)
	}
	return "", changes[0].HeaderValue, nil
}
