package past

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
)

// Source reads the files named on a command line: decision logs, mail logs, mboxes, Maildirs, directories of
// messages and single messages, plain or gzip-compressed. The kind of a file is found out by its beginning.
type Source struct {
	Trusted string    // the hosts whose Received fields are believed, see Message
	Now     time.Time // for dates without a year or a time zone
	From    time.Time // what was before is left out; not what has no date
	Seen    *Seen     // leaves out records that were read before; may be nil
	Work    Work      // on decisions, where they are decoded: by several goroutines at once; may be nil
	Stdin   io.Reader // what "-" stands for
	Read    func(int) // called with the number of bytes read from files; may be nil
}

// Work makes something of a decision. It may be called for decisions that Source leaves out.
type Work func(*checks.Record) any

// Item is a decision or a hop: one of the two is set.
type Item struct {
	Record *checks.Record
	Worked any // what Source.Work made of the decision
	Hop    *Hop
}

// Items reads a file, or the files of a directory in the order of their names. label, if not Unlabelled, is
// that of every hop. A *Broken error is about one item, or about a file of a directory that is of no known
// kind; any other error is about a file. Reading continues after either. The end of ctx is an error, too,
// even while waiting for standard input or a pipe.
func (s *Source) Items(ctx context.Context, path string, label Label) iter.Seq2[Item, error] {
	return func(each func(Item, error) bool) {
		yield := func(item Item, err error) bool { return !s.wants(item) || each(item, err) }
		if path == "-" {
			s.file(ctx, path, path, label, yield)
			return
		}
		for name, err := range files(path) {
			more := false
			if err != nil {
				more = yield(Item{}, err)
			} else {
				more = s.file(ctx, path, name, label, yield)
			}
			if !more {
				return
			}
		}
	}
}

func (s *Source) wants(item Item) bool {
	switch {
	case item.Record != nil:
		return !item.Record.Time.Before(s.From) && (s.Seen == nil || !s.Seen.Again(item.Record))
	case item.Hop != nil && !item.Hop.Time.IsZero():
		return !item.Hop.Time.Before(s.From)
	}
	return true
}

// Size returns how many bytes Items will read at least: 0 for "-".
func Size(path string) (size int64) {
	for name, err := range files(path) {
		if info, statErr := os.Stat(name); err == nil && statErr == nil {
			size += info.Size()
		}
	}
	return size
}

// files yields a file, or the files of a directory without the index files that mail servers keep there. path
// may be a symbolic link; links inside a directory are skipped, since they may lead anywhere.
func files(path string) iter.Seq2[string, error] {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path += string(filepath.Separator) // WalkDir does not follow a link without it
	}
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

// folder returns the label that the directories of a message stand for.
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

// unreadable is the error of a file of no known kind.
const unreadable = "not recognized as mail, mail log or decision log; if it is compressed, decompress it first"

// file reads one file: path itself, or one in that directory.
func (s *Source) file(
	ctx context.Context, path, name string, label Label, yield func(Item, error) bool,
) (more bool) {
	f, err := Open(ctx, name, s.Stdin, s.Read)
	if err != nil {
		return yield(Item{}, err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, peeked)
	kind, err := detect(in)
	var hops iter.Seq2[Hop, error]
	switch {
	case kind == decisionLog && label != Unlabelled:
		return yield(Item{}, fmt.Errorf("%s: a decision log cannot be labelled ham or spam, only mail can", name))
	case kind == decisionLog:
		for item, err := range Decisions(name, in, s.work) {
			if !yield(item, err) {
				return false
			}
		}
		return true
	case kind == mailbox:
		hops = Mbox(name, in, s.Trusted)
	case kind == singleMail:
		hops = Message(name, in, s.Trusted)
	case kind == mailLog:
		hops = Log(name, in, s.Now)
	case err != nil:
		return yield(Item{}, fmt.Errorf("%s: %w", name, err))
	case kind == blankFile:
		return true
	case path != name:
		return yield(Item{}, &Broken{Place: name, Reason: unreadable})
	default:
		return yield(Item{}, fmt.Errorf("%s: %s", name, unreadable))
	}
	for hop, err := range hops {
		hop.Spam = cmp.Or(label, folder(path, name), hop.Spam)
		hop.tidy()
		if !yield(Item{Hop: &hop}, err) {
			return false
		}
	}
	return true
}

// work makes an item of a decision.
func (s *Source) work(r *checks.Record) Item {
	item := Item{Record: r}
	if s.Work != nil && !r.Time.Before(s.From) {
		item.Worked = s.Work(r)
	}
	return item
}
