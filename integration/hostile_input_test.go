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

// Bytes that would make go-milter panic close a connection and do not end the daemon: mail goes on.
func TestHostileBytes(t *testing.T) {
	pairwiseVariants(t, func(t *testing.T, v variant) {
		t.Parallel()
		milter := rig.StartMilter(t, v.network, fmt.Sprintf("mode = %q\n", v.mode))
		const optneg = "\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"
		for _, bytes := range []string{
			"\x00\x00\x00\x00",
			optneg + "\x00\x00\x00\x00",
			optneg + "\x00\x00\x00\x05Chost",
			optneg + "\x00\x00\x00\x06Chost\x00",
			optneg + "\x00\x00\x00\x02Ma",
			optneg + "\x00\x00\x00\x02Ra",
			optneg + "\x00\x00\x00\x03Ra\x00" + "\x00\x00\x00\x01E", // RCPT and end of message without MAIL
			optneg + "\xff\xff\xff\xffB",
			"GET / HTTP/1.1\r\n\r\n",
		} {
			milter.Send(t, bytes)
		}
		sink := rig.StartSink(t)
		server := rig.Start(t, v.mta, sink, milter.Socket)
		client := netip.MustParseAddr("203.0.113.10")
		rig.Talk(t, client, server.Endpoint(client), "EHLO mail.example.org"+toNet, rig.Message)
		if mail := sink.Wait(t, 1)[0]; !strings.Contains(mail.Text, "X-HELO-Check: accept; ") {
			t.Errorf("delivered:\n%s\nmilter:\n%s", mail.Text, milter.Log())
		}
	})
}

// checkLogText requires a number of decisions in the milter's log, only printable text, and lines that logfmt
// can parse.
func checkLogText(t *testing.T, log string, decisions int) {
	t.Helper()
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "time=") {
			continue // the lines to paste into main.cf
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

// Hostile texts in HELO, MAIL FROM and RCPT TO are sent to an MTA. A valid address follows each of them, so
// that every session reaches a decision; then comes another transaction.
func TestHostileTextToMTA(t *testing.T) {
	texts := checkstest.Hostile(t)
	for name, text := range texts {
		if strings.ContainsAny(text, "\r\n") {
			delete(texts, name) // Postfix takes them for the end of the command
		}
	}
	const script = "EHLO %|MAIL FROM:<%@example.org>|MAIL FROM:<\"%\"@example.org>|MAIL FROM:<a@example.org>|" +
		"RCPT TO:<%@example.net>|RCPT TO:<\"%\"@example.net>|RCPT TO:<reader@example.net>|DATA|" +
		"RSET|MAIL FROM:<a@example.org>|RCPT TO:<last@example.net>|QUIT"
	client := netip.MustParseAddr("203.0.113.9")
	tolerant := map[string]string{
		"Postfix": "smtpd_soft_error_limit = 9", "Sendmail": "define(`confALLOW_BOGUS_HELO', `True')dnl",
		"Exim": anyHelo["Exim"] + "\nsmtp_max_synprot_errors = 99",
	}
	pairwiseHosts(t, func(t *testing.T, v variant) {
		t.Parallel()
		milter := rig.StartMilter(t, v.socket(), fmt.Sprintf("mode = %q\n%s\n", v.mode, strict))
		sink := rig.StartSink(t)
		server := rig.Start(t, v.mta, sink, milter.Socket, tolerant[v.mta])
		s := session{T: t, variant: v, client: client}
		for name, text := range texts {
			if v.mta == "Sendmail" { // it hangs up after a long line (RFC 5321 §4.5.3.1.4: 512 octets)
				text = text[:min(len(text), 400)]
			} else if v.mta == "Exim" { // it hangs up after 16 KiB
				text = text[:min(len(text), 16_000)]
			}
			said := strings.ReplaceAll(script, "%", strings.ReplaceAll(text, "|", "!")) // | separates the steps
			s.replies = rig.Talk(t, client, server.Endpoint(client), said, rig.Message)
			if v.mta == "Exim" {
				unwrap(s.replies)
			}
			for _, reply := range s.replies {
				ours := v.mta == "Postfix" || reply.Said == "RCPT TO:<reader@example.net>" // Sendmail echoes paths
				if ours && !printable.MatchString(reply.Text) {
					t.Errorf("%s: reply %q", name, reply.Text)
				}
			}
			reply := s.reply("RCPT TO:<reader")
			if want := map[string]int{"observe": 2, "enforce": 5}[v.mode]; reply.Code/100 != want {
				t.Errorf("%s: %+v", name, s.replies)
			} else if want == 5 {
				s.checkReplyFormat(reply)
			}
		}
		milter.Stop(t) // completes its log
		checkLogText(t, milter.Log(), len(texts))
		if v.mode == "enforce" {
			return
		}
		for _, mail := range sink.Wait(t, len(texts)) {
			if value := s.soleHeader(mail); !headerFormat.MatchString(value) || !printable.MatchString(value) {
				t.Errorf("header %q", value)
			}
		}
	})
}

// The same texts, with the bytes that Postfix would not pass on, sent to the milter by go-milter's client.
func TestHostileTextToMilter(t *testing.T) {
	texts := checkstest.Hostile(t)
	pairwiseVariants(t, func(t *testing.T, v variant) {
		t.Parallel()
		decisions := filepath.Join(t.TempDir(), "decisions")
		config := fmt.Sprintf("mode = %q\ndecision_log = %q\n%s\n", v.mode, decisions, strict)
		milter := rig.StartMilter(t, v.network, config)
		for name, text := range texts {
			refused := v.mode == "enforce"
			reply, header, err := sendText(milter.Socket, text[:min(len(text), 65000)]) // a frame has at most 64 KiB
			if err != nil || milterReply.MatchString(reply) != refused || milterHeader.MatchString(header) == refused {
				t.Errorf("%s: reply %q, header %q, %v", name, reply, header, err)
			}
		}
		milter.Stop(t) // completes its log
		checkLogText(t, milter.Log(), len(texts))
		checkRecordText(t, decisions, len(texts))
	})
}

// checkRecordText requires a line of printable JSON for each decision.
func checkRecordText(t *testing.T, file string, decisions int) {
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

// What the milter sends to the MTA, which reads %% as a percent sign.
var (
	milterReply  = regexp.MustCompile(`^(5\d\d[ -]5\.\d\.\d{1,3} (?:[ -$&-~]|%%)+(\r\n|$))+$`)
	milterHeader = regexp.MustCompile(`^reject; [ -~]+\n\t[ -~]+$`)
)

// sendText sends a text to the milter in every field and returns what the milter sends to the MTA. After a
// refusal comes another transaction.
func sendText(socket, text string) (reply, header string, _ error) {
	network, address, _ := strings.Cut(socket, ":")
	network = map[string]string{"unix": "unix", "inet": "tcp"}[network]
	actions := gomilter.WithActions(gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptSetMacros)
	s, err := gomilter.NewClient(network, address, actions).Session(gomilter.NewMacroBag())
	if err != nil {
		return "", "", err
	}
	defer s.Close()
	var failed error
	send := func(action *gomilter.Action, err error) *gomilter.Action {
		failed = cmp.Or(failed, err)
		return action
	}
	send(s.Conn("client", gomilter.FamilyInet, 4711, "203.0.113.9"))
	send(s.Helo(text))
	send(s.Mail(text, ""))
	if first := send(s.Rcpt(text, "")); failed == nil && first.Type == gomilter.ActionRejectWithCode {
		send(nil, s.Abort(nil))
		send(s.Mail(text, ""))
		send(s.Rcpt(text, ""))
		return first.SMTPReply, "", failed
	}
	send(s.DataStart())
	send(s.HeaderEnd())
	send(s.BodyChunk([]byte("body")))
	changes, _, err := s.End()
	if failed = cmp.Or(failed, err); failed != nil || len(changes) != 1 {
		return "", "", fmt.Errorf("%+v, %w", changes, failed)
	}
	return "", changes[0].HeaderValue, nil
}
