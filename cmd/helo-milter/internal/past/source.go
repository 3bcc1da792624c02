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

// Items reads a file or a directory in the order of its names. An error that is a *Broken is about one
// item, or a file in a directory that nothing can be read of, any other about a file; the rest is read
// after either. The end of the context is an error, too, even while the reader waits for standard input or
// a pipe.
func (s *Source) Items(ctx context.Context, path string, label Label) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
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

// Size is how many bytes Items will read, or less.
func Size(path string) (size int64) {
	for name, err := range files(path) {
		if info, statErr := os.Stat(name); err == nil && statErr == nil {
			size += info.Size()
		}
	}
	return size
}

// files are a file itself, or all in a directory but what mail servers keep beside the messages. Either
// may be named by a symbolic link; those inside a directory are passed over.
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

// unreadable is why nothing comes of a file.
const unreadable = "no mail, no log and no decision in it; unpack it first, if it is packed"

// file reads one file, whatever it is: path itself, or one in that directory.
func (s *Source) file(
	ctx context.Context, path, name string, label Label, yield func(Item, error) bool,
) (more bool) {
	f, err := Open(ctx, name, s.Stdin, s.Read)
	if err != nil {
		return yield(Item{}, err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, peeked)
	kind, err := tell(in)
	var hops iter.Seq2[Hop, error]
	switch {
	case kind == decisionLog && label != Unlabelled:
		return yield(Item{}, fmt.Errorf("%s: decisions are not labelled, only mail is", name))
	case kind == decisionLog:
		return records(Decisions(name, in), yield)
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
		return yield(Item{}, &Broken{name, unreadable})
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

func records(records iter.Seq2[*checks.Record, error], yield func(Item, error) bool) (more bool) {
	for record, err := range records {
		if !yield(Item{Record: record}, err) {
			return false
		}
	}
	return true
}
