package past

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/inorder"
)

// Source reads the files named on a command line: decision logs, mail logs, mboxes, Maildirs, directories of
// messages and single messages, plain or gzip-compressed. The kind of a file is found out by its beginning.
type Source struct {
	Trusted string    // the hosts whose Received fields are believed, see Message
	Now     time.Time // for dates without a year or a time zone
	From    time.Time // what was before is left out; not what has no date
	Seen    *Seen     // leaves out records that were read before; may be nil
	Work    Work      // on decisions, where they are decoded: by several goroutines at once; may be nil
	Inputs  Inputs    // what names stand for that are no files
	Read    func(int) // called with numbers of bytes read from files, by several goroutines at once; may be nil

	buffers sync.Pool // of *bufio.Reader, for the messages of a directory
}

// Work makes something of a decision. It may be called for decisions that Source leaves out.
type Work func(*checks.Record) any

// Item is a decision or a hop: one of the two is set.
type Item struct {
	Record *checks.Record
	Worked any // what Source.Work made of the decision
	Hop    *Hop
}

// Items reads a file, or the files of a directory in the order of their names; of those, messages are read by
// several goroutines. label, if not Unlabelled, is that of every hop. A *Broken error is about one item, or about
// a file of a directory that is of no known kind; any other error is about a file. Reading continues after either.
// The end of ctx is an error, too, even while waiting for standard input or a pipe.
func (s *Source) Items(ctx context.Context, path string, label Label) iter.Seq2[Item, error] {
	return func(each func(Item, error) bool) {
		yield := func(item Item, err error) bool { return !s.wants(item) || each(item, err) }
		if !isFile(path) {
			s.open(ctx, path, path, label).items(yield)
			return
		}
		start := func(f found) (*file, func() *file) {
			switch {
			case f.err != nil:
				return &file{err: f.err}, nil
			case f.name == path:
				return s.open(ctx, path, path, label), nil
			}
			return nil, func() *file { return s.open(ctx, path, f.name, label) }
		}
		for file := range inorder.Map(2*runtime.GOMAXPROCS(0), files(path), start) {
			if !file.items(yield) {
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
	for f := range files(path) {
		if info, err := os.Stat(f.name); f.err == nil && err == nil {
			size += info.Size()
		}
	}
	return size
}

// found is a file, or an error about a directory.
type found struct {
	name string
	err  error
}

// files yields a file, or the files of a directory without the index files that mail servers keep there. path
// may be a symbolic link; links inside a directory are skipped, since they may lead anywhere.
func files(path string) iter.Seq[found] {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path += string(filepath.Separator) // WalkDir does not follow a link without it
	}
	return func(yield func(found) bool) {
		walk := func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil && !yield(found{name, err}):
				return fs.SkipAll
			case err != nil || name == path && entry.IsDir():
				return nil
			case entry.IsDir() && entry.Name() == "tmp": // of a Maildir: not delivered yet
				return fs.SkipDir
			case entry.IsDir() || name != path && (!entry.Type().IsRegular() || isIndex(entry.Name())):
				return nil
			case !yield(found{name, nil}):
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

// file is a file that was opened: path itself, or one in that directory.
type file struct {
	*Source
	path, name string
	label      Label
	in         *Opened // nil if all was read
	kind       kind
	item       Item // of a message
	err        error
}

// open opens a file and finds out its kind. A message is read at once.
func (s *Source) open(ctx context.Context, path, name string, label Label) *file {
	f := &file{Source: s, path: path, name: name, label: label}
	if f.in, f.err = s.reader(ctx, path, name); f.err != nil {
		return f
	}
	f.kind, f.err = detect(f.in.Reader)
	if f.kind == singleMail {
		f.err = nil
		for hop, err := range Message(name, f.in.Reader, s.Trusted) {
			f.item, f.err = f.hop(&hop), err
		}
		f.close()
	}
	return f
}

// reader opens a file. One in a directory is no pipe, so it need not be interruptible.
func (s *Source) reader(ctx context.Context, path, name string) (*Opened, error) {
	if path == name {
		return s.Inputs.Open(ctx, name, s.Read)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	// Without O_NONBLOCK, os sets it and, for a file on a disk, takes it back: four system calls.
	raw, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	buffer, ok := s.buffers.Get().(*bufio.Reader)
	if !ok {
		buffer = bufio.NewReaderSize(nil, peeked)
	}
	o := &Opened{Reader: buffer}
	return o.begin(name, raw, &counted{raw, s.Read})
}

func (f *file) close() {
	_ = f.in.Close() // it was only read
	if f.path != f.name {
		f.buffers.Put(f.in.Reader)
	}
	f.in = nil
}

// items yields what is in a file, and closes it.
func (f *file) items(yield func(Item, error) bool) (more bool) {
	if f.in == nil {
		return yield(f.item, f.err)
	}
	defer f.close()
	var hops iter.Seq2[Hop, error]
	switch in := f.in.Reader; {
	case f.kind == decisionLog && f.label != Unlabelled:
		return yield(Item{}, fmt.Errorf("%s: a decision log cannot be labelled ham or spam, only mail can", f.name))
	case f.kind == decisionLog:
		for item, err := range Decisions(f.name, in, f.work) {
			if !yield(item, err) {
				return false
			}
		}
		return true
	case f.kind == mailbox:
		hops = Mbox(f.name, in, f.Trusted)
	case f.kind == mailLog:
		hops = Log(f.name, in, f.Now)
	case f.err != nil:
		return yield(Item{}, fmt.Errorf("%s: %w", f.name, f.err))
	case f.kind == blankFile:
		return true
	case f.path != f.name:
		return yield(Item{}, &Broken{Place: f.name, Reason: unreadable})
	default:
		return yield(Item{}, fmt.Errorf("%s: %s", f.name, unreadable))
	}
	for hop, err := range hops {
		if !yield(f.hop(&hop), err) {
			return false
		}
	}
	return true
}

// hop makes an item of a hop.
func (f *file) hop(hop *Hop) Item {
	hop.Spam = cmp.Or(f.label, folder(f.path, f.name), hop.Spam)
	hop.tidy()
	return Item{Hop: hop}
}

// work makes an item of a decision.
func (s *Source) work(r *checks.Record) Item {
	item := Item{Record: r}
	if s.Work != nil && !r.Time.Before(s.From) {
		item.Worked = s.Work(r)
	}
	return item
}
