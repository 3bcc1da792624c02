package opensmtpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"helo-milter/checks/clean"
	"helo-milter/milter/door"
)

const (
	maxLine     = 256 << 10 // bytes; smtpd's lines are of 64 KiB and a little
	maxSessions = 20_000    // more than smtpd has files for; others are let pass
)

// The reports and requests that are asked for. A message's lines are asked for only where they are changed.
var (
	reports = []string{
		"link-connect", "link-identify", "link-auth", "link-disconnect", "tx-mail", "tx-commit", "tx-rollback",
	}
	requests = []string{"mail-from", "rcpt-to", "data"}
)

const dataLine = "data-line"

// Filter speaks with smtpd.
type Filter struct {
	config       atomic.Pointer[door.Config]
	transactions door.Transactions
	in           *bufio.Reader
	out          *output
	working      sync.WaitGroup // goroutines of sessions
	ready        atomic.Bool

	// What the reader alone changes, before any session begins.
	host  string // what smtpd calls itself
	whole bool   // it takes long lines
	marks bool   // it was asked for the lines of messages

	// What the reader alone uses.
	logged map[string]time.Time
	newer  bool // a version newer than all known ones was logged

	mu       sync.Mutex
	sessions map[string]*session
}

// New returns a filter of that configuration, which reads smtpd's lines and writes answers.
func New(cfg *door.Config, in io.Reader, out io.Writer) *Filter {
	f := &Filter{
		in: bufio.NewReaderSize(in, maxLine), out: newOutput(out),
		sessions: map[string]*session{}, logged: map[string]time.Time{},
	}
	f.config.Store(cfg)
	return f
}

// Configure gives a new configuration to the sessions that begin from now on. That messages are to be
// changed is known to smtpd only from its next start on.
func (f *Filter) Configure(cfg *door.Config) {
	f.config.Store(cfg)
	if f.ready.Load() && changes(cfg) && !f.marks {
		cfg.Log.Warn("no header field is added before smtpd is started again: it was not asked for the messages")
	}
}

// changes reports whether messages are changed.
func changes(cfg *door.Config) bool { return cfg.Header != "" || cfg.AuthResults }

// Transactions returns how many mail transactions are open.
func (f *Filter) Transactions() int { return f.transactions.Open() }

// forget takes out a session that has ended.
func (f *Filter) forget(s *session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, s.id)
}

// Sessions returns how many SMTP sessions are open.
func (f *Filter) Sessions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sessions)
}

// Ready is an error while smtpd sends nothing that could be judged.
func (f *Filter) Ready() error {
	if !f.ready.Load() {
		return errors.New("smtpd has not said that it is ready")
	}
	return nil
}

// Serve reads until smtpd closes its end, which ends all sessions. An error is about the input: that it
// ended before smtpd was ready, or that smtpd speaks a version of the protocol that is unknown.
func (f *Filter) Serve() error {
	defer f.endAll()
	for {
		text, err := f.readLine()
		if err == nil {
			err = f.take(text)
		}
		var version versionError
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && f.ready.Load():
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("standard input ended before smtpd said that it is ready: " +
				"this command is for `filter ... proc-exec` in smtpd.conf")
		case errors.As(err, &version), errors.Is(err, errRead):
			return err
		default:
			if f.isDue("ignored") {
				f.config.Load().Log.Warn("a line of smtpd's was ignored", "error", err,
					"line", clean.Log(text[:min(len(text), 200)]))
			}
		}
	}
}

var errRead = errors.New("standard input cannot be read")

// readLine returns the next line without its end. What is beyond maxLine is left out.
func (f *Filter) readLine() (string, error) {
	piece, err := f.in.ReadSlice('\n')
	text := string(piece)
	if errors.Is(err, bufio.ErrBufferFull) && f.isDue("cut") {
		f.config.Load().Log.Warn("a line of smtpd's was cut", "bytes", maxLine)
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = f.in.ReadSlice('\n')
	}
	switch {
	case err == nil:
		return strings.TrimSuffix(text, "\n"), nil
	case errors.Is(err, io.EOF):
		return "", err // half a line is none
	}
	return "", fmt.Errorf("%w: %w", errRead, err)
}

// take takes a line.
func (f *Filter) take(text string) error {
	if config, ok := strings.CutPrefix(text, "config|"); ok {
		return f.configure(config)
	}
	l, err := parseLine(text)
	if err != nil {
		return err
	}
	if l.minor > newest && !f.newer {
		f.newer = true
		f.config.Load().Log.Warn("smtpd speaks a newer version of the filter protocol than is known: its lines are read "+
			"as if it was the newest known", "version", fmt.Sprint("0.", l.minor), "known", fmt.Sprint("0.", newest))
	}
	s := f.session(l)
	switch {
	case s != nil:
		s.take(l)
	case l.request && l.name == dataLine:
		answer(f.out, l.minor < tokenSecond, "filter-dataline", l.session, l.token, l.params)
	case l.request:
		answer(f.out, l.minor < tokenSecond, "filter-result", l.session, l.token, "proceed")
	}
	return nil
}

// session returns the session of a line, or nil for one that is not judged.
func (f *Filter) session(l line) *session {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[l.session]
	switch {
	case s == nil && l.name == "link-disconnect":
	case s == nil && l.name == "link-connect" && len(f.sessions) < maxSessions:
		s = &session{Session: door.New(f.config.Load(), &f.transactions), filter: f, id: l.session}
		s.changed.L = &s.mu
		f.sessions[l.session] = s
	case s == nil && f.isDue("unknown"):
		f.config.Load().Log.Warn("a session is not judged: its beginning was not reported, or there are too many",
			"event", clean.Log(l.name), "sessions", len(f.sessions))
	}
	return s
}

// configure takes a line of the handshake, and registers at its end.
func (f *Filter) configure(text string) error {
	key, value, _ := strings.Cut(text, "|")
	switch key {
	case "admd":
		f.host = clean.Text(value, maxName)
	case "smtpd-version":
		f.whole = takesLongLines(value)
	case "protocol":
		_, err := parseVersion(value)
		return err
	case "ready":
		f.register()
	}
	return nil
}

// register asks for the reports and requests, once.
func (f *Filter) register() {
	if f.ready.Load() {
		return
	}
	for _, name := range reports {
		f.out.line("register", "report", "smtp-in", name)
	}
	for _, name := range requests {
		f.out.line("register", "filter", "smtp-in", name)
	}
	if f.marks = changes(f.config.Load()); f.marks {
		f.out.line("register", "filter", "smtp-in", dataLine)
	}
	f.out.line("register", "ready")
	f.ready.Store(true)
}

// takesLongLines reports whether a version of smtpd reads a filter's data lines whole, as it has since 7.4.
func takesLongLines(version string) bool {
	var major, minor int
	_, err := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return err == nil && (major > 7 || major == 7 && minor >= 4)
}

// How many bytes of text an answer of a data line may have, beside the 50 or 51 with its kind, session and
// token.
const (
	wholeLine = 65_000
	cutLine   = 2047 - 50
)

func (f *Filter) maxText() int {
	if f.whole {
		return wholeLine
	}
	return cutLine
}

// isDue reports whether a line of that kind is to be logged: smtpd may cause it at will, so at most once a
// minute.
func (f *Filter) isDue(kind string) bool {
	now := time.Now()
	due := now.Sub(f.logged[kind]) > time.Minute
	if due {
		f.logged[kind] = now
	}
	return due
}

// endAll ends all sessions.
func (f *Filter) endAll() {
	f.mu.Lock()
	sessions := slices.Collect(maps.Values(f.sessions))
	f.mu.Unlock()
	for _, s := range sessions {
		s.take(line{name: "link-disconnect"})
	}
}

// Shutdown waits until Serve's sessions have ended and all answers are written, or until the context ends:
// then it returns an error. It is for after Serve.
func (f *Filter) Shutdown(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		f.working.Wait()
		done <- f.out.flush()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%d transactions are still open: %w", f.Transactions(), ctx.Err())
	}
}
