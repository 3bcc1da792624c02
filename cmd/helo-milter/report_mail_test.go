package main

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/evidence"
)

// late are clients beside those of healthy. The first two come in the second week.
var late = []crowd{
	{1, 2, "203.0.113.220", "mail_%d.example.org", "", "", ""},
	{7, 3, "203.0.113.200", "192.0.2.99", "", "", ""},
	{2, 11, "2001:db8:2001::9", "0x7f%d", "", "", ""}, // in the network of a laptop
}

const ending = `mode = "enforce"
[[allow]]
network = "2001:db8:1000::/48"
until = 2026-11-20
reason = "printers of Zürich"
[[allow]]
name = ".example.net"
until = 2026-11-01
[[allow]]
network = "192.0.2.0/32"
until = 2027-01-01
`

// The letters: what each says, in lines that no mail program breaks.
func TestLetters(t *testing.T) {
	now := time.Date(2026, 11, 14, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		crowds []crowd
		config string
		days   int // since the last record's
	}{
		"healthy": {append(late, healthy...), ending, 0},
		"young":   {young, "", -11},
		"silent":  {healthy, "", 30},
		"nothing": {nil, "", 0},
	} {
		cfg, err := config.Parse("letter", []byte(tt.config))
		if err != nil {
			t.Fatal(err)
		}
		now, tally := now.AddDate(0, 0, tt.days), evidence.New(cfg.Judge, cfg.Actions)
		tally.Compare(now)
		for i, c := range tt.crowds {
			for _, r := range c.records(cfg.Judge.Policy) {
				if i == 1 {
					r.MTA = "mx2.example.net"
				}
				if i < 2 && len(tt.crowds) > len(healthy) {
					r.Time = r.Time.AddDate(0, 0, 8)
				}
				if r.Verdict.Want == "reject" && i < 5 {
					r.Verdict.Did = "reject"
				}
				tally.Add(r)
			}
		}
		letter := evidence.Letter{Host: "mx.example.net", Now: now, Allow: cfg.Ending(now.AddDate(0, 0, 14))}
		subject, text := letter.Write(tally.Report(0, 0))
		golden(t, filepath.Join("testdata", "report", name+".letter"), "Subject: "+subject+"\n\n"+text)
		for line := range strings.Lines(text) {
			if len(line) > 77 {
				t.Errorf("%s: %q is too long", name, line)
			}
		}
	}
}

// fakeSendmail is a script in the place of sendmail(8), and the files into which it writes.
func fakeSendmail(t *testing.T, script string) (program, args, message string) {
	t.Helper()
	dir := t.TempDir()
	program, args = filepath.Join(dir, "sendmail"), filepath.Join(dir, "args")
	message = filepath.Join(dir, "message")
	script = strings.NewReplacer("ARGS", args, "MESSAGE", message).Replace(script)
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, args, message
}

// recent is a decision log of mail up to now, with hostile text in it.
func recent(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, text := range checkstest.Hostile(t) {
		c := crowd{2, 1, "203.0.113.1", text, "!a" + text, "", ""}
		for i, r := range c.records(checks.NewPolicy(checks.Standard)) {
			r.ID, r.MTA, r.Time = fmt.Sprint(b.Len(), i), text, time.Now().Add(-time.Hour)
			fmt.Fprintln(&b, r)
		}
	}
	file := filepath.Join(t.TempDir(), "decisions.jsonl")
	writeFile(t, file, b.String())
	return file
}

// What sendmail(8) is given is a message of a text and a page, whatever the clients have said.
func TestMail(t *testing.T) {
	file := recent(t)
	program, args, sent := fakeSendmail(t, `printf '%s\n' "$@" >ARGS; cat >MESSAGE`)
	out, errs := report(t, exitDone, "--mail=postmaster@example.net", "--sendmail", program, file, "--since=2d")
	if got := string(read(t, args)); out+errs != "" || got != "-i\n--\npostmaster@example.net\n" {
		t.Errorf("%q %q with arguments %q", out, errs, got)
	}
	raw := string(read(t, sent))
	for line := range strings.Lines(raw) {
		if len(line) > 79 || strings.Contains(line, "\r") {
			t.Errorf("%q is no line for sendmail", line)
		}
	}
	msg, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"To": `^postmaster@example\.net$`, "From": `^$`, "Auto-Submitted": "^auto-generated$",
		"Mime-Version": `^1\.0$`, "Message-Id": `^<[a-z0-9]{26}@[A-Za-z0-9.-]+>$`,
		"Subject": `^helo-milter on [ -~]+, \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d: [ -~]+$`,
	} {
		if got := msg.Header.Get(field); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q", field, got)
		}
	}
	if at, err := msg.Header.Date(); err != nil || time.Since(at) > time.Minute {
		t.Errorf("%v %v", at, err)
	}
	parts := mimeParts(t, msg)
	page, _ := report(t, exitDone, "--html", file)
	if len(parts) != 2 || parts[1] != page || !strings.Contains(parts[0], "\nNEEDS A LOOK\n") {
		t.Errorf("%d parts: %.2000q", len(parts), parts)
	}
	staysText(t, "letter", "text", parts[0])
}

// mimeParts returns the parts of a message, decoded, with LF at the end of lines.
func mimeParts(t *testing.T, msg *mail.Message) (parts []string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatal(kind, err)
	}
	r := multipart.NewReader(msg.Body, params["boundary"])
	for {
		part, err := r.NextRawPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
}

// What goes wrong is said, and the exit code says so, too.
func TestMailErrors(t *testing.T) {
	file := recent(t)
	failing, _, _ := fakeSendmail(t, `printf 'sendmail: fatal: \033[31mno queue\nmore\n' >&2; exit 75`)
	good, _, sent := fakeSendmail(t, `cat >MESSAGE`)
	for _, tt := range []struct {
		args, errs string
		exit       int
	}{
		{"--mail=root --sendmail=" + failing, `exit status 75: sendmail: fatal: \x1b[31mno queue` + "\n", exitBad},
		{"--mail=root --sendmail=/nowhere/sendmail", "/nowhere/sendmail: ", exitBad},
		{"--mail=root --sendmail=" + good + " no", "open no: no such file", exitBad},
		{"--mail=-bd", "not a mail address", exitUsage},
		{"--mail=|cat", "not a mail address", exitUsage},
		{"--mail=/etc/passwd", "not a mail address", exitUsage},
		{"--mail=a@example.org,b@example.org", "not a mail address", exitUsage},
		{"--mail=a@-example.org", "not a mail address", exitUsage},
		{"--mail=", "not a mail address", exitUsage},
		{"--mail=root --html", "can't be used together", exitUsage},
	} {
		out, errs := report(t, tt.exit, append(strings.Fields(tt.args), file)...)
		if out != "" || !strings.Contains(errs, tt.errs) {
			t.Errorf("%s: %q %q", tt.args, out, errs)
		}
	}
	if text := string(read(t, sent)); !strings.Contains(text, "\n1 file could not be read, or only in part.\n") {
		t.Errorf("%.2000s", text)
	}
	hanging, _, _ := fakeSendmail(t, "sleep 1 & exec sleep 60")
	began := time.Now()
	err := sendmail{hanging, 50 * time.Millisecond}.send(t.Context(), &message{to: "root"})
	if err == nil || !strings.Contains(err.Error(), "no result after 50ms") || time.Since(began) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
