package integration

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// smtpdName matches a host name that smtpd takes (res_hnok(3)).
var smtpdName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*$`)

// smtpdGreets reports whether smtpd takes a HELO: a host name, or an address in brackets, with or without a tag
// (valid_domainpart in its util.c).
func smtpdGreets(name string) bool {
	if literal, ok := strings.CutPrefix(name, "["); ok && strings.HasSuffix(literal, "]") {
		if len(literal) > 5 && strings.EqualFold(literal[:5], "IPv6:") {
			literal = literal[5:]
		}
		_, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		return err == nil
	}
	return smtpdName.MatchString(name)
}

// smtpdLacks are what OpenSMTPD does not support, by a text in a story's script or needs.
var smtpdLacks = []struct{ what, name, why string }{
	{"XCLIENT ", "XCLIENT", "not supported; `proxy-v2` is"},
	{"SMTPUTF8", "SMTPUTF8", "not supported by 6.8"},
	{"BDAT ", "BDAT (CHUNKING)", "not supported by 6.8"},
	{"\n", "", "pipelining: see smtpdDifferences"},
	{"silent.example.org", "", "smtpd looks the client's name up itself, before the banner, and waits 75 s for a zone like this"},
	{"STARTTLS", "", "cannot be done by Debian's 6.8: see rig/opensmtpd.go"},
	{"non_smtpd_milters", "local submission with `sendmail`", "no filter, unless `listen on socket` has one"},
	{"milter_protocol", "old versions of the milter protocol", "has no milters; the filter protocol from 0.4 on"},
}

// smtpdUnsupported returns why OpenSMTPD does not run a session, or "".
func smtpdUnsupported(session string) string {
	for _, lack := range smtpdLacks {
		if strings.Contains(session, lack.what) {
			return lack.why
		}
	}
	greeted := false
	for step := range strings.SplitSeq(strings.TrimPrefix(session, "^"), "|") {
		switch verb, name, _ := strings.Cut(step, " "); verb {
		case "EHLO", "HELO":
			if greeted || !smtpdGreets(strings.NewReplacer("{mx}", "192.0.2.1", "{mx6}", "2001:db8::1").Replace(name)) {
				return "rejected by OpenSMTPD itself"
			}
			greeted = true
		case "MAIL":
			if !greeted {
				return "rejected by OpenSMTPD itself"
			}
		}
	}
	if strings.TrimSpace(session) == "" {
		return "rejected by OpenSMTPD itself" // MAIL without a HELO
	}
	return ""
}

// smtpdDifferences are the sessions of differences, and others that OpenSMTPD handles unlike all others.
var smtpdDifferences = []struct {
	what, says, others string
	want               behaviour
}{
	{
		"a HELO that is not a host name, `EHLO a,b;c`", "EHLO a,b;c", "",
		behaviour{"rejects it with 501 itself, and MAIL without a HELO with 503", "220 501 503 503 503 221", "5.5.1 Invalid", ""},
	},
	{
		"no HELO", "", "",
		behaviour{"rejects MAIL with 503 itself", "220 503 503 503 221", "5.5.1 Invalid", ""},
	},
	{
		"a refusal at RCPT", "EHLO mx.example.net", "",
		behaviour{"in one line, cut to RFC 5321's 512 bytes", "220 250 250 550 503 221", "5.7.1 HELO", ownNameRejected},
	},
	{
		"a greeting before the last", "EHLO mx.example.net|EHLO mail.example.org", "",
		behaviour{
			"a second one is rejected with 503, but after STARTTLS, and then both count",
			"220 250 503 250 550 503 221", "Rule: helo-own-name", ownNameRejected,
		},
	},
	{
		"pipelined commands", "EHLO mail.example.org|MAIL FROM:<a@example.org>\nRCPT TO:<b@example.net>\nDATA", "works",
		behaviour{"not supported: closes the connection with 500", "220 250 500 0", "", ""},
	},
}

// smtpdCells are the other cells of its column in examples/README.md.
var smtpdCells = map[string]string{
	"a HELO with a blank in it":                      "rejected with 501 by OpenSMTPD itself",
	"removal of header fields that claim to be ours": "works",
	"STARTTLS before any HELO":                       "rejected with 503 by OpenSMTPD itself",
	"setting, and its effect while the milter is down, silent, or hangs at RCPT or later": "none: smtpd ends when a filter " +
		"does, and waits for one that hangs",
	"setting for a timeout below two seconds":                            "none",
	"a session during which the milter restarts; the next one is judged": "smtpd restarts, too",
}

// smtpdCell returns a cell of its column, or "".
func smtpdCell(what string) string {
	for _, d := range smtpdDifferences {
		if d.what == what {
			return d.want.words
		}
	}
	for _, lack := range smtpdLacks {
		if lack.name == what && what != "" {
			return lack.why
		}
	}
	return smtpdCells[what]
}

// OpenSMTPD handles these sessions so, and has none of the features that the table says it lacks.
func TestOpenSMTPDDifferences(t *testing.T) {
	for _, tt := range smtpdDifferences {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			v := variant{"OpenSMTPD", "enforce", "filter"}
			stage := v.stage(t, "")
			client := netip.MustParseAddr(good)
			says := strings.TrimPrefix(tt.says+toNet, "|")
			replies := rig.Talk(t, client, stage.server.Endpoint(client), says, rig.Message)
			s := &session{T: t, replies: replies, milter: stage.milter, stage: stage}
			if got := codes(replies); got != tt.want.codes {
				t.Errorf("codes %s, want %s", got, tt.want.codes)
			}
			if strings.Contains(tt.want.codes, " 221") && !strings.Contains(s.reply("RCPT").Text, tt.want.reply) {
				t.Errorf("%+v lacks %s", s.reply("RCPT"), tt.want.reply)
			}
			s.checkDecisions(tt.want.decided)
			for _, keyword := range []string{"XCLIENT", "SMTPUTF8", "CHUNKING", "PIPELINING"} {
				if strings.Contains(replies[1].Text, keyword) {
					t.Errorf("%s in\n%s", keyword, replies[1].Text)
				}
			}
		})
	}
}

// What smtpdUnsupported says of a greeting is what smtpd does.
func TestOpenSMTPDGreetings(t *testing.T) {
	stage := variant{"OpenSMTPD", "observe", "filter"}.stage(t, "")
	client := netip.MustParseAddr(good)
	for _, name := range []string{
		"mail.example.org", "MAIL.example.org", "mail.example.org.", "a_b.example.org", "-a.example.org", "a-.example.org", "a..b",
		"a,b", "1.2.3.4", "1.2.3", "2130706433", "[203.0.113.9]", "[203.0.113]", "[203.0.113.09]", "[IPv6:2001:db8::1]", "[2001:db8::1]",
		"[ipv6:2001:db8::1]", "[203.0.113.9", "2001:db8::1", "mail.example.org b", "b\u00fccher.example", "friend", "",
	} {
		replies := rig.Talk(t, client, stage.server.Endpoint(client), "EHLO "+name+"|QUIT", "")
		if want := smtpdUnsupported("EHLO "+name) == ""; (replies[1].Code == 250) != want {
			t.Errorf("%q: %+v", name, replies[1])
		}
	}
}

// Lines of any length come through: those that smtpd 6.8 would cut are broken.
func TestOpenSMTPDLongLines(t *testing.T) {
	t.Parallel()
	message := rig.Message + strings.Repeat("x", 60_000) + "|end\n.\n..dot\n"
	s := variant{"OpenSMTPD", "observe", "filter"}.session(t, "", good, greeting, message)
	s.check(parseOutcome("accept pass only"))
	text := s.sink.Wait(t, 1)[0].Text
	_, body, _ := strings.Cut(text, "\n\nHello.\n")
	if got := strings.ReplaceAll(body, "\n ", ""); got != strings.Repeat("x", 60_000)+"|end\n.\n..dot\n" {
		t.Errorf("%d bytes: %.100q ... %q", len(got), got, got[max(0, len(got)-100):])
	}
}

// smtpd's own result for the client's name is recorded where it differs from ours.
func TestOpenSMTPDResolve(t *testing.T) {
	t.Parallel()
	s := variant{"OpenSMTPD", "observe", "filter"}.session(t, "", "203.0.113.32", "EHLO forged.example.org", rig.Message)
	if r := s.record(); r.Iprev != "fail" || r.Facts.MTAResolve.Resolve != "" {
		t.Errorf("%s", r)
	}
	s = variant{"OpenSMTPD", "observe", "filter"}.session(t, "", "203.0.113.42", "EHLO unknown.example.org", rig.Message)
	if r := s.record(); r.Iprev != "temperror" {
		t.Errorf("%s", r)
	}
}

// A filter that hangs holds up its clients until it goes on; one that is killed ends smtpd, which says so, and
// SIGTERM does not end it; a configuration that is wrong keeps smtpd from starting.
func TestOpenSMTPDFilterEnds(t *testing.T) {
	start := func(t *testing.T, config string) (*rig.Milter, *rig.OpenSMTPD, *rig.Sink) {
		t.Parallel()
		milter, sink := rig.StartMilter(t, "filter", config), rig.StartSink(t)
		server := rig.StartOpenSMTPD(t, sink, rig.OpenSMTPDFilter(milter.Socket))
		waitLog(t, milter, `msg="serving smtpd"`)
		return milter, server, sink
	}
	client := netip.MustParseAddr(good)
	t.Run("hangs", func(t *testing.T) {
		milter, server, sink := start(t, "")
		c := rig.Dial(t, client, server.Endpoint(client))
		defer c.Close()
		c.Say(greeting, "")
		milter.Signal(t, syscall.SIGSTOP)
		const pause = 500 * time.Millisecond
		time.AfterFunc(pause, func() { milter.Signal(t, syscall.SIGCONT) })
		replies := c.Say(strings.TrimPrefix(toNet, "|"), rig.Message)
		if got := codes(replies); got != "250 250 354 250 221" || replies[0].Took < pause/2 {
			t.Errorf("%s: %+v", got, replies)
		}
		sink.Wait(t, 1)
	})
	t.Run("SIGTERM", func(t *testing.T) {
		milter, server, sink := start(t, "")
		milter.Signal(t, syscall.SIGTERM)
		waitLog(t, milter, "serving until smtpd ends")
		deliver(t, server, "25", good, greeting, rig.Message)
		if text := sink.Wait(t, 1)[0].Text; !strings.HasPrefix(text, "X-HELO-Check: accept;") {
			t.Errorf("%s", text)
		}
		if err := server.Stop(); err != nil {
			t.Errorf("%v\n%s", err, server.Log())
		}
	})
	t.Run("killed", func(t *testing.T) {
		milter, server, _ := start(t, "")
		milter.Signal(t, syscall.SIGKILL)
		log := server.WaitLog(t, "lost processor: helo-milter exited abnormally")
		rig.Eventually(t, func() error {
			if !server.Ended() {
				return fmt.Errorf("smtpd goes on:\n%s", log)
			}
			return nil
		})
	})
	t.Run("bad configuration", func(t *testing.T) {
		t.Parallel()
		for config, says := range map[string]string{
			"mode = \"enfroce\"\n":   ":1:1: mode: \"enfroce\"",
			"decision_log = \"-\"\n": "standard output is what smtpd reads",
		} {
			milter := rig.StartMilter(t, "filter", config)
			sink := rig.StartSink(t)
			server := rig.LaunchOpenSMTPD(t, sink, rig.OpenSMTPDFilter(milter.Socket))
			server.WaitLog(t, "lost processor: helo-milter exited abnormally")
			if !strings.Contains(milter.Log(), says) {
				t.Errorf("%s:\n%s", config, milter.Log())
			}
		}
	})
	t.Run("what cannot be opened", func(t *testing.T) {
		milter, server, sink := start(t, "decision_log = \"/nonexistent/decisions\"\n[http]\nlisten = \"192.0.2.99:1\"\nallow = [\"192.0.2.0/24\"]\n")
		deliver(t, server, "25", good, greeting, rig.Message)
		if text := sink.Wait(t, 1)[0].Text; !strings.HasPrefix(text, "X-HELO-Check: accept;") {
			t.Errorf("%s", text)
		}
		if !strings.Contains(milter.Log(), "not opened before the next SIGHUP") {
			t.Errorf("log:\n%s", milter.Log())
		}
	})
}

// waitLog waits until a milter has logged a text.
func waitLog(t *testing.T, milter *rig.Milter, text string) {
	t.Helper()
	rig.Eventually(t, func() error {
		if !strings.Contains(milter.Log(), text) {
			return fmt.Errorf("the log lacks %q:\n%s", text, milter.Log())
		}
		return nil
	})
}

// examples/opensmtpd/smtpd.conf as it is, but for addresses and the command; what the filter logs is in
// smtpd's log.
func TestOpenSMTPDExample(t *testing.T) {
	t.Parallel()
	milter := rig.StartMilter(t, "filter", "mode = \"enforce\"\nprofile = \"standard\"\n")
	sink := rig.StartSink(t)
	text := example(t, "opensmtpd/smtpd.conf")
	const command = "/usr/sbin/helo-milter opensmtpd --config /etc/helo-milter/helo-milter.toml"
	if strings.Count(text, command) != 1 || strings.Count(text, "listen on all port 25 ") != 1 {
		t.Fatal(text)
	}
	run := rig.Binary() + " opensmtpd --config " + milter.Dir + "/helo-milter.toml"
	text = strings.NewReplacer(command, run, "listen on all port 25", "listen on {mx} port 26").Replace(text)
	server := rig.StartOpenSMTPD(t, sink, text)
	for _, tt := range []struct{ says, result string }{{greeting, judged}, {"EHLO mx.example.net", "550"}} {
		sink.Reset()
		got := ""
		if code := deliver(t, server, "26", good, tt.says, "X-HELO-Check: forged;\n"+rig.Message); code != 250 {
			got = fmt.Sprint(code)
		} else {
			got = fields(sink.Wait(t, 1)[0], "X-HELO-Check")
		}
		if got != tt.result {
			t.Errorf("%s: got %q, want %q\n%s", tt.says, got, tt.result, server.Log())
		}
	}
	server.WaitLog(t, "helo-milter: time=")
	server.WaitLog(t, "msg=decision ")
}
