package past

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	aHop      = "Received: from friend (unknown [203.0.113.9])\n\tby mx.example.net (Postfix) id 4C1; "
	aMessage  = aHop + "Tue, 10 Nov 2026 08:00:00 +0000\nSubject: hello\n\nHello.\n"
	aMaillog  = "Nov 10 08:00:00 mx postfix/smtpd[7]: 4C1: client=unknown[203.0.113.9]\n"
	aDecision = `{"v":1,"time":"2026-11-10T08:00:00Z","client":"203.0.113.9","facts":{"client":"203.0.113.9"}}` + "\n"
	aJournal  = `{"MESSAGE":"4C1: client=unknown[203.0.113.9]","SYSLOG_IDENTIFIER":"postfix/smtpd","_PID":"7",` +
		`"_HOSTNAME":"mx","__REALTIME_TIMESTAMP":"1794297600000000"}` + "\n"
)

func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// What a file is, is told by its beginning, and whether it is spam by its folder, its command line, or by
// SpamAssassin. Each line is a file with a text, and what there is in it.
func TestSource(t *testing.T) {
	for _, tt := range []struct {
		file, text string
		label      Label
		want       string
	}{
		{"decisions", aDecision + aDecision, Unlabelled, "decision decision"},
		{"decisions.1.gz", packed(aDecision), Unlabelled, "decision"},
		{"decisions", "\n" + aDecision + aDecision[:40] + "\n" + aDecision, Unlabelled, "decision broken:3 decision"},
		{"mail.log", aMaillog, Unlabelled, "hop"},
		{"mail.log.2.gz", packed(aMaillog + aMaillog), Unlabelled, "hop hop"},
		{"journal", aJournal, Unlabelled, "hop"},
		{"inbox", "From a@example.org Tue Nov 10 08:00:00 2026\n" + aMessage, Unlabelled, "hop"},
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
		{"picture.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", Unlabelled, ""},
		{"torn.gz", packed(aMaillog)[:20], Unlabelled, "error"},
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
		if got := s.words(filepath.Join(dir, path), tt.label); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.file, got, tt.want)
		}
		if size := Size(file); tt.want != "" && (size != int64(len(tt.text)) || int64(read) != size) {
			t.Errorf("%s: %d bytes, of which %d were read", tt.file, size, read)
		}
		in := &Source{Now: s.Now, Stdin: strings.NewReader(tt.text)}
		if got := in.words("-", tt.label); !strings.Contains(tt.file, "/") && got != tt.want {
			t.Errorf("%s on standard input: %q, want %q", tt.file, got, tt.want)
		}
	}
}

// A file that is not there does not keep the others from being read.
func TestSourceMissing(t *testing.T) {
	if got := (&Source{}).words(filepath.Join(t.TempDir(), "no"), Unlabelled); got != "error" {
		t.Error(got)
	}
}

// words are what there is in a source.
func (s *Source) words(path string, label Label) string {
	var words []string
	for item, err := range s.Items(path, label) {
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
