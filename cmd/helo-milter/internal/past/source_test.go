package past

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	aHop      = "Received: from friend (unknown [203.0.113.9])\n\tby mx.example.net (Postfix) id 4C1; "
	aMessage  = aHop + "Tue, 10 Nov 2026 08:00:00 +0000\nSubject: hello\n\nHello.\n"
	aMbox     = "From a@example.org Tue Nov 10 08:00:00 2026\n" + aMessage
	aMaillog  = "Nov 10 08:00:00 mx postfix/smtpd[7]: 4C1: client=unknown[203.0.113.9]\n"
	aDecision = `{"v":1,"time":"2026-11-10T08:00:00Z","client":"203.0.113.9","facts":{"client":"203.0.113.9"}}` + "\n"
	aJournal  = `{"MESSAGE":"4C1: client=unknown[203.0.113.9]","SYSLOG_IDENTIFIER":"postfix/smtpd","_PID":"7",` +
		`"_HOSTNAME":"mx","__REALTIME_TIMESTAMP":"1794297600000000"}` + "\n"
)

// exchangeHead begins a receive connector's log; anExchange is a line of it.
const (
	exchangeHead = "\ufeff#Software: Microsoft Exchange Server\r\n#Version: 15.0.0.0\r\n" +
		"#Log-type: SMTP Receive Protocol Log\r\n#Date: 2026-11-10T08:00:00.123Z\r\n#Fields: date-time,connector-id\r\n"
	anExchange = "2026-11-10T08:00:00.123Z,EX01\\Default,08DE1,3,192.0.2.25:25,203.0.113.9:40001,<,MAIL FROM:<>,\r\n"
)

// aContainer is a line of docker's json-file.
const aContainer = `{"log":"Nov 10 08:00:00 mx postfix/smtpd[7]: 4C1: client=unknown[203.0.113.9]\n",` +
	`"stream":"stdout","time":"2026-11-10T08:00:00.123456789Z"}` + "\n"

func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// cutOff returns a packed text without the end of the gzip stream.
func cutOff(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Flush()
	return b.String()
}

// The kind of a file is found out by its beginning; the label comes from the command line, its directory or
// SpamAssassin. Each line is a file with its text and label, and the items in it.
func TestSource(t *testing.T) {
	for _, tt := range []struct {
		file, text string
		label      Label
		want       string
	}{
		{"decisions", aDecision + aDecision, Unlabelled, "decision decision"},
		{"decisions.1.gz", packed(aDecision), Unlabelled, "decision"},
		{"decisions", "\n" + aDecision + aDecision[:40] + "\n" + aDecision, Unlabelled, "decision broken:3 decision"},
		{"decisions", "\ufeff\r\n\n" + aDecision, Unlabelled, "decision"},
		{"decisions", aDecision[30:] + aDecision, Unlabelled, "broken:1 decision"},          // copytruncate
		{"decisions", "e: helo-bare-ip\"}}\n" + aDecision, Unlabelled, "broken:1 decision"}, // the same
		{"journal", "time=2026-11-10T08:00:00Z level=INFO\n" + aDecision, Unlabelled, "broken:1 decision"},
		{"decisions", aDecision + aMaillog, Unlabelled, "decision broken:2"},
		{"decisions", aDecision, Ham, "error"},
		{"corpus/ham/decisions", aDecision, Unlabelled, "decision"},
		{"a.eml", aMessage + aDecision, Unlabelled, "hop"}, // what a sender says is no decision
		{"inbox", aMbox + aDecision, Unlabelled, "hop"},
		{"mail.log", aMaillog, Unlabelled, "hop"},
		{"mail.log", "\ufeff" + aMaillog, Unlabelled, "hop"},
		{"mail.log", "x[203.0.113.8]\n" + aMaillog, Unlabelled, "hop"},
		{"mail.log.2.gz", packed(aMaillog + aMaillog), Unlabelled, "hop hop"},
		{"journal", aJournal, Unlabelled, "hop"},
		{"journal", "{\n\t" + strings.ReplaceAll(aJournal[1:len(aJournal)-2], ",", ",\n\t") + "\n}", Unlabelled, "hop"},
		{"0123-json.log", aContainer + aContainer, Unlabelled, "hop hop"},
		{"0123-json.log", strings.ReplaceAll(aContainer, "4C1", `"facts"`), Unlabelled, "broken:1"},
		{"compose.log", "mail-1  | " + aMaillog + "helo-1  | " + aDecision, Unlabelled, "broken:2 hop"},
		{"compose.log", strings.Repeat("web-1  | GET / 200\n", 9999) + "mail-1  | " + aMaillog, Unlabelled, "hop"},
		{"compose.log", "Attaching to mail-1\nmail-1  | " + aMaillog, Unlabelled, "hop"},
		{"0.log", "2026-11-10T08:00:00.5Z stdout F " + aMaillog, Unlabelled, "hop"},
		{"found", "mail.log:" + aMaillog, Unlabelled, "hop"},
		{"found", "maillog:1:" + aMaillog, Unlabelled, "hop"},
		{"journal", "data: " + aJournal, Unlabelled, "hop"},
		{"a.eml", "Subject:" + aMaillog + aMessage, Unlabelled, "hop"},
		{"a.eml", "data: x\n" + aMessage, Unlabelled, "hop"},
		{"new.log", "level=info text=" + aMaillog, Unlabelled, "broken:1"},
		{"1.emlx", "198  \n" + aMessage + "<?xml version=\"1.0\"?>\n \n<plist>\n", Unlabelled, "hop"},
		{"web.log", `{"level":"info","ts":1794297600.1,"msg":"handled"}` + "\n", Unlabelled, ""},
		{"logs/RECV2026111008-1.LOG", exchangeHead + anExchange + anExchange, Unlabelled, "hop hop"},
		{"RECV2026111008-2.LOG.gz", packed(exchangeHead + anExchange), Unlabelled, "hop"},
		{"RECV2026111008-3.LOG", anExchange[5:] + anExchange, Unlabelled, "hop"}, // without its beginning
		{"RECV2026111008-4.LOG", exchangeHead + anExchange[:50], Unlabelled, "broken:6"},
		{"RECV2026111009-1.LOG", exchangeHead, Unlabelled, ""},
		{"logs/MSGTRK2026111008-1.LOG", strings.Replace(exchangeHead, "SMTP Receive Protocol", "Message Tracking", 1) +
			"2026-11-10T08:00:00.123Z,203.0.113.9,mail.example.org,192.0.2.25,EX01\r\n", Unlabelled, "broken:3"},
		{"inbox", aMbox, Unlabelled, "hop"},
		{"inbox", "\r\n\n" + aMbox, Unlabelled, "hop"},
		{"notes", "From here on\n", Unlabelled, "error"},
		{"a.eml", aMessage, Unlabelled, "hop"},
		{"a.eml", "X-Spam-Status: Yes, score=7.1 required=5.0\n" + aMessage, Unlabelled, "hop-spam"},
		{"a.eml", "X-Spam-Status: No, score=-0.1\n" + aMessage, Unlabelled, "hop-ham"},
		{"a.eml", aHop + "Tue, 10 Nov 2026 08:00:00 +0000\nX-Spam-Status: No\n\n", Unlabelled, "hop"}, // the sender's
		{"a.eml", "X-Spam-Status: No, score=-0.1\n" + aMessage, Spam, "hop-spam"},
		{"a.eml", aMessage, Ham, "hop-ham"},
		{"Maildir/cur/1:2,S", aMessage, Unlabelled, "hop"},
		{"Maildir/.Junk/new/1", aMessage, Unlabelled, "hop-spam"},
		{"Maildir/.Junk/new/1", aMessage, Ham, "hop-ham"},
		{"corpus/ham/00001", aMessage, Unlabelled, "hop-ham"},
		{"Maildir/tmp/1", aMessage, Unlabelled, ""},
		{"Maildir/dovecot-uidlist", "3 V1\n", Unlabelled, ""},
		{"empty", "", Unlabelled, ""},
		{"blank", "\ufeff \r\n\n", Unlabelled, ""},
		{"quiet.log", "Nov 10 08:00:00 mx cron[7]: nothing\n", Unlabelled, ""},
		{"picture.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", Unlabelled, "error"},
		{"mail.log.xz", "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x1c", Unlabelled, "error"},
		{"utf-16", "\xff\xfeN\x00o\x00v\x00 \x001\x000\x00", Unlabelled, "error"},
		{"Maildir/cur/picture.png", "\x89PNG\r\n\x1a\n", Unlabelled, "broken"},
		{"torn.gz", packed(aMaillog)[:20], Unlabelled, "error"},
		{"torn.gz", cutOff(aMaillog), Unlabelled, "hop error"},
		{"torn.gz", cutOff(aDecision), Unlabelled, "decision error"},
		{"torn.gz", cutOff(aMbox), Unlabelled, "hop error"},
		{"no.gz", "\x1f\x8bno", Unlabelled, "error"},
		{"a.eml", "Subject: no Received\n\n", Unlabelled, "broken"},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, tt.file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(tt.text), 0o644)); err != nil {
			t.Fatal(err)
		}
		path, _, _ := strings.Cut(tt.file, "/")
		read := 0
		s := &Source{Now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), Read: func(n int) { read += n }}
		if got := s.words(t.Context(), filepath.Join(dir, path), tt.label); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.file, got, tt.want)
		}
		if size := Size(file); tt.want != "" && (size != int64(len(tt.text)) || int64(read) != size) {
			t.Errorf("%s: %d bytes, of which %d were read", tt.file, size, read)
		}
		in := &Source{Now: s.Now, Inputs: Inputs{Stdin: strings.NewReader(tt.text)}}
		if got := in.words(t.Context(), "-", tt.label); !strings.Contains(tt.file, "/") && got != tt.want {
			t.Errorf("%s on standard input: %q, want %q", tt.file, got, tt.want)
		}
	}
}

// A path may be a symbolic link. Links in a directory are skipped: they could lead anywhere.
func TestSourceLinks(t *testing.T) {
	dir := t.TempDir()
	file, folder := filepath.Join(dir, "file"), filepath.Join(dir, "cur")
	toFile, toFolder := filepath.Join(dir, "to-file"), filepath.Join(dir, "to-folder")
	if err := errors.Join(
		os.WriteFile(file, []byte(aMessage), 0o644), os.Symlink(file, toFile),
		os.Mkdir(folder, 0o755), os.Symlink(folder, toFolder),
		os.WriteFile(filepath.Join(folder, "1"), []byte(aMessage), 0o644),
		os.Symlink(file, filepath.Join(folder, "2")),
	); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{toFile, toFolder, toFolder + "/"} {
		if got := (&Source{}).words(t.Context(), path, Unlabelled); got != "hop" {
			t.Errorf("%s: %q", path, got)
		}
		if size := Size(path); size != int64(len(aMessage)) {
			t.Errorf("%s: %d bytes", path, size)
		}
	}
}

// An error names the file, and the line if there is one.
func TestSourceErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"\x1f\x8bno", "FILE: unexpected EOF"},
		{"\x1f\x8bno gzip, really", "FILE: gzip: invalid header"},
		{cutOff(aMaillog), "FILE:2: unexpected EOF"},
		{cutOff(aDecision), "FILE:2: unexpected EOF"},
		{"BZh9", "FILE: not recognized as mail, mail log or decision log; if it is compressed, decompress it first"},
	} {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, err := range (&Source{}).Items(t.Context(), file, Unlabelled) {
			if err != nil {
				got += strings.ReplaceAll(err.Error(), file, "FILE")
			}
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
	if got := (&Source{}).words(t.Context(), filepath.Join(t.TempDir(), "no"), Unlabelled); got != "error" {
		t.Error(got)
	}
}

// A silent standard input is given up when the context ends, whatever was read from it, and no goroutine is
// left behind. synctest checks both.
func TestSourceInterrupted(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "error"},
		{"\x1f", "error"},
		{aDecision[:10], "broken:1 error"},
		{aDecision, "decision error"},
		{aMaillog, "hop error"},
		{aMbox, "hop error"},
		{aHop, "error"},
		{cutOff(aMaillog), "hop error"},
	} {
		synctest.Test(t, func(t *testing.T) {
			in, silent := io.Pipe()
			defer silent.Close()
			go silent.Write([]byte(tt.text))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s := &Source{Inputs: Inputs{Stdin: in}, Now: today}
			if got := s.words(ctx, "-", Unlabelled); got != tt.want {
				t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

// The same for a named pipe, as from a shell's <(...).
func TestSourceInterruptedPipe(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	name := fmt.Sprintf("/dev/fd/%d", in.Fd())
	if got := (&Source{}).words(ctx, name, Unlabelled); got != "error" {
		t.Error(got)
	}
}

// Names are printable ASCII, so that they cannot control a terminal, and all texts are valid UTF-8.
func TestSourceTidy(t *testing.T) {
	const log = "Nov 10 08:00:00 mx\x1b postfix/smtpd[7]: A1: client=e\u009bvil\x1bc\xff[203.0.113.9]\n" +
		"Nov 10 08:00:00 mx\x1b postfix/smtpd[7]: NOQUEUE: reject: RCPT from x[203.0.113.9]: no; " +
		"from=<\xff> to=<\xfe> proto=SMTP helo=<\xfd\u202e>\n"
	var got []string
	for item := range (&Source{Inputs: Inputs{Stdin: strings.NewReader(log)}, Now: today}).Items(t.Context(), "-", Unlabelled) {
		h := item.Hop
		got = append(got, fmt.Sprintf("%q", []string{h.By, h.Name, h.Helo, h.From, fmt.Sprint(h.To)}))
	}
	compare(t, "tidy", got, `["mx?" "x" "?\u202e" "?" "[?]"]`, `["mx?" "e?vil?c?" "" "" "[]"]`)
}

// words returns the items of a source, a word each.
func (s *Source) words(ctx context.Context, path string, label Label) string {
	var words []string
	for item, err := range s.Items(ctx, path, label) {
		broken := new(Broken)
		switch {
		case errors.As(err, &broken):
			_, line, _ := strings.Cut(filepath.Base(broken.Place), ":")
			words = append(words, strings.TrimSuffix("broken:"+line, ":"))
		case err != nil:
			words = append(words, "error")
		case item.Record != nil:
			words = append(words, "decision")
		default:
			words = append(words, strings.TrimSuffix(fmt.Sprint("hop-", item.Hop.Spam), "-"))
		}
	}
	return strings.Join(words, " ")
}
