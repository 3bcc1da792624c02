package past

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
)

// Source opens what somebody names on a command line: decision logs, mail logs, mboxes, Maildirs, folders of
// messages and single ones, each as it is or compressed with gzip. What a file is, is told by its beginning.
type Source struct {
	Trusted string    // see Mbox
	Now     time.Time // for dates without a year
	Stdin   io.Reader // what "-" stands for
	Read    func(int) // hears how many bytes were read from files, or nil
}

// Item is what there is in a source: a decision or a hop.
type Item struct {
	Record *checks.Record
	Hop    *Hop
}

// Items reads a file or a directory in the order of its names. An error that is a *Broken is about one item, any
// other about a file; the rest is read after either.
func (s *Source) Items(path string, label Label) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if path == "-" {
			s.file(path, label, yield)
			return
		}
		for name, err := range files(path) {
			more := false
			if err != nil {
				more = yield(Item{}, err)
			} else {
				more = s.file(name, cmp.Or(label, folder(path, name)), yield)
			}
			if !more {
				return
			}
		}
	}
}

// Size is how many bytes Items will read, or less.
func Size(path string) (size int64) {
	for name, err := range files(path) {
		if info, statErr := os.Stat(name); err == nil && statErr == nil {
			size += info.Size()
		}
	}
	return size
}

// files are a file itself, or all in a directory but what mail servers keep beside the messages.
func files(path string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		walk := func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil && !yield(name, err):
				return fs.SkipAll
			case err != nil || name == path && entry.IsDir():
				return nil
			case entry.IsDir() && entry.Name() == "tmp": // of a Maildir: not delivered yet
				return fs.SkipDir
			case entry.IsDir() || name != path && (!entry.Type().IsRegular() || isIndex(entry.Name())):
				return nil
			case !yield(name, nil):
				return fs.SkipAll
			}
			return nil
		}
		_ = filepath.WalkDir(path, walk) // walk passes every error on
	}
}

func isIndex(name string) bool {
	return name[0] == '.' || slices.Contains([]string{"maildirsize", "subscriptions", "cmds"}, name) ||
		strings.HasPrefix(name, "dovecot") || strings.HasPrefix(name, "courier")
}

// folder is what the names of the folders say of the messages in them.
func folder(path, name string) Label {
	rest, _ := filepath.Rel(filepath.Dir(filepath.Clean(path)), filepath.Dir(name))
	for part := range strings.SplitSeq(strings.ToLower(filepath.ToSlash(rest)), "/") {
		switch strings.TrimPrefix(part, ".") {
		case "spam", "junk", "junk e-mail":
			return Spam
		case "ham":
			return Ham
		}
	}
	return Unlabelled
}

// peeked is how much of a file is looked at to tell what it is.
const peeked = 4096

// file reads one file, whatever it is.
func (s *Source) file(name string, label Label, yield func(Item, error) bool) (more bool) {
	f, err := Open(name, s.Stdin, s.Read)
	if err != nil {
		return yield(Item{}, err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	head, err := in.Peek(peeked)
	if err != nil && !errors.Is(err, io.EOF) {
		return yield(Item{}, fmt.Errorf("%s: %w", name, err))
	}
	var hops iter.Seq2[Hop, error]
	switch {
	case isDecisions(bytes.TrimSpace(head)):
		return records(Decisions(name, in), yield)
	case bytes.HasPrefix(head, []byte("From ")):
		hops = Mbox(name, in, s.Trusted)
	case firstField.Match(head):
		hops = Message(name, in, s.Trusted)
	default:
		hops = Log(name, in, s.Now)
	}
	for hop, err := range hops {
		hop.Spam = cmp.Or(label, hop.Spam)
		if !yield(Item{Hop: &hop}, err) {
			return false
		}
	}
	return true
}

func records(records iter.Seq2[*checks.Record, error], yield func(Item, error) bool) (more bool) {
	for record, err := range records {
		if !yield(Item{Record: record}, err) {
			return false
		}
	}
	return true
}

// firstField begins a message: RFC 5322 §2.2. No log line does: a time has no blank after its colons.
var firstField = regexp.MustCompile(`^[A-Za-z][!-9;-~]*:([ \t\r\n]|[^0-9 ])`)

// isDecisions tells a decision log from a journal's JSON, which has no "v".
func isDecisions(head []byte) bool {
	return bytes.HasPrefix(head, []byte(`{"v":`)) || bytes.HasPrefix(head, []byte("{")) &&
		bytes.Contains(head, []byte(`"facts"`)) && !bytes.Contains(head, []byte(`"MESSAGE"`))
}
