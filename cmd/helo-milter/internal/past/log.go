package past

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/valyala/fastjson"

	"helo-milter/checks"
)

const (
	maxLine    = 64 << 10    // bytes of a line; the rest is cut off
	maxOpen    = 10_000      // open messages, and open connections
	maxTo      = 50          // recipients of a hop
	maxText    = 512         // bytes of a HELO, a name or an address; RFC 5321 §4.5.3.1 allows less for each
	oneAttempt = time.Minute // within which refused recipients belong to one attempt
)

// Log reads the logs of Postfix, Sendmail, Exim and Exchange, each in its own file or all in one: files of
// syslog in the old and the new format (RFC 3164, RFC 5424), of syslog-ng, busybox, FreeBSD, Solaris and
// illumos, Postfix's maillog_file, Exim's main log, the protocol log of Exchange's receive connectors, and
// the output of journalctl in every format that has a date (but not verbose), OpenWrt's logread and macOS's
// log. Each may be as a container engine, a supervisor or a collector has written it: docker's json-file,
// journald and syslog drivers, docker logs and docker compose logs with and without -t and colours, CRI,
// kubectl logs, stern, podman, s6-log, svlogd, multilog, grep, and JSON of Filebeat, Logstash, Fluentd,
// Vector, rsyslog, syslog-ng, Loki and others.
//
// Lines of other programs are skipped. A line of a mail server in a format that is not known is a *Broken. A
// date without a year is the latest one that is not in the future (a day of clock skew is allowed), and a
// date without a time zone is in that of now, unless a container engine wrote when it received the line.
//
// A hop is yielded when its message leaves the queue, which can be many lines after its Place. A *Broken
// error is about one line, and the sequence continues; any other error ends it.
//
// The HELO is in few logs:
//
//	Postfix    refused mail, also by postscreen and milters; mail that passed a before-queue filter
//	           (smtpd_proxy_filter) or that header_checks logged. All mail, with
//	           smtpd_recipient_restrictions = check_client_access static:INFO, ... (Postfix 3.0 and newer),
//	           or with smtpd -v
//	Sendmail   with LogLevel 15, which also logs passwords. With LogLevel 10 only a HELO that is refused for
//	           its syntax and, if PrivacyOptions has authwarnings, that there was none
//	Exim       all mail; but if a client was refused and no HELO is shown, it may have said its own verified
//	           name or nothing
//	Exchange   all mail, and each HELO of a session
//
// Reverse DNS:
//
//	Postfix    "unknown" means no PTR name, a failed lookup, or an unconfirmed name. For the last there is a
//	           warning with the name
//	Sendmail   an address without a name means no PTR name, or a failed lookup. "may be forged" means an
//	           unconfirmed name, or one whose own lookup failed
//	Exim       shows confirmed names, and logs clients without a PTR name (log selector host_lookup_failed).
//	           The other cases cannot be distinguished
//	Exchange   looks up no names
func Log(name string, r io.Reader, now time.Time) iter.Seq2[Hop, error] {
	return func(yield func(Hop, error) bool) {
		l := newLogReader(name, now)
		in := bufio.NewReaderSize(r, maxLine)
		var err error
		for err == nil {
			var line []byte
			line, err = in.ReadSlice('\n')
			l.read(strings.TrimRight(string(line), "\r\n"))
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			if !l.hand(yield) {
				return
			}
		}
		l.end()
		if l.hand(yield) && !errors.Is(err, io.EOF) {
			yield(Hop{}, fmt.Errorf("%s: %w", l.place(), err))
		}
	}
}

// logReader holds the open connections and messages, by the host that logged them. Beyond maxOpen, the least
// recently used is treated as ended.
type logReader struct {
	name     string
	line     int
	now      time.Time
	json     fastjson.Parser
	stamp    string // the last date of syslog, and its time
	stamped  time.Time
	block    []byte            // the lines of a record that has several, until its end
	parts    map[string]string // of a line that a container engine has divided, by its stream
	sessions *lru.LRU[key, *session]
	messages *lru.LRU[key, *message]
	ready    []result

	exchanges bool // a line of Exchange was read
	foreign   bool // its lines are of a log that is not of receive connectors
}

// key is a process id, an address or a queue id, with its host.
type key struct{ host, id string }

func (e *entry) key(id string) key { return key{cut(e.host), cut(id)} }

type result struct {
	hop Hop
	err error
}

func newLogReader(name string, now time.Time) *logReader {
	l := &logReader{name: name, now: now}
	// The only error is about the size.
	l.sessions, _ = lru.NewLRU(maxOpen, func(_ key, s *session) { l.giveUp(s) })
	l.messages, _ = lru.NewLRU(maxOpen, func(_ key, m *message) { l.yield(m.Hop) })
	return l
}

func (l *logReader) place() string { return fmt.Sprintf("%s:%d", l.name, l.line) }

// read takes the next line, or adds it to a record of several lines (block.go).
func (l *logReader) read(line string) {
	l.line++
	if header := strings.TrimPrefix(line, "\ufeff"); strings.HasPrefix(header, "#") { // files may be joined
		line = header
		l.exchangeHeader(line)
	}
	if l.block != nil || beginsBlock(line) {
		var more bool
		if line, more = l.gather(line); more {
			return
		}
	}
	l.readWhole(line)
}

// readWhole parses a line (carrier.go, syslog.go), and passes it to the mail server that wrote it
// (program.go).
func (l *logReader) readWhole(line string) {
	e, ok := l.parse(line)
	switch e.origin() {
	case fromPostfix:
		l.postfix(&e)
	case fromSendmail:
		l.sendmail(&e)
	case fromExim:
		l.exim(&e)
	case fromExchange:
		if l.exchanges = true; !l.foreign {
			l.exchange(&e)
		}
	case fromOther:
		if l.exchanges && strings.HasPrefix(line, "#") || l.foreign && isExchangeLine(line) {
			return
		}
		quotes := e.program == "" || strings.Contains(e.text, "]: ") // of a record, or as another program's text
		if ok && quotes && quotesServer(e.text) || !ok && (isOurs(line) || l.exchanges && line != "") {
			l.broken(unparsed, line)
		}
	}
}

// unparsed is the reason of a *Broken.
const unparsed = "cannot parse the line or its date"

// end treats everything that is open as ended.
func (l *logReader) end() {
	if l.block != nil {
		closing := ""
		if l.block[0] == '{' {
			closing = "}"
		}
		record, _ := l.gather(closing)
		l.readWhole(record)
	}
	for l.sessions.Len() > 0 {
		l.sessions.RemoveOldest()
	}
	for l.messages.Len() > 0 {
		l.messages.RemoveOldest()
	}
}

// hand yields what is ready, and reports whether to go on.
func (l *logReader) hand(yield func(Hop, error) bool) bool {
	for _, r := range l.ready {
		if !yield(r.hop, r.err) {
			return false
		}
	}
	l.ready = l.ready[:0]
	return true
}

// yield makes a hop ready, if it has a client: mail of local programs has none, nor has a client that
// disconnected before the host asked for its address.
func (l *logReader) yield(h Hop) {
	if h.Client.IsValid() {
		l.ready = append(l.ready, result{hop: h})
	}
}

func (l *logReader) broken(reason, text string) {
	l.ready = append(l.ready, result{err: &Broken{Place: l.place(), Reason: reason, Text: keep(text)}})
}

func (h *Hop) addTo(to string) bool {
	if to == "" || len(h.To) == maxTo || slices.Contains(h.To, to) {
		return false
	}
	h.To = append(h.To, keep(to))
	return true
}

// keep copies a text, since a substring would keep its whole line in memory.
func keep(text string) string { return strings.Clone(cut(text)) }

func cut(text string) string { return text[:min(len(text), maxText)] }

func canonical(name string) string { return checks.Canonical(keep(name)) }

// ip parses an address of a log: unmapped, without the zone that Postfix writes and Sendmail's tag IPv6:. It
// is the zero Addr if that fails.
func ip(text string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimPrefix(text, "IPv6:"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// isID reports whether a text may be a queue id: letters, digits, and the hyphens of Exim.
func isID(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return text != ""
}
