package help

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
)

// Ticket is what a link carries of a refusal: nothing of the envelope.
type Ticket struct {
	Client netip.Addr
	Time   time.Time // UTC, to the second
	Rules  []string  // that failed, the deciding one first; at most maxRules
	Unsure bool      // what decided was a failed lookup: the mail was deferred, and no rule of Rules decided
	Helo   string    // as the client said it, without control characters, at most maxHelo bytes
	PTR    Said      // of the client
	Addr   Said      // of the HELO name
}

// Said is what the DNS said in short.
type Said struct {
	Status checks.Status
	Value  string // the one that leads, else the first; "" where there is none, or no room for it
	Leads  bool   // to the client: there is a confirmed PTR name, or the client's address
	More   int    // how many there were besides, at most 15
}

// The most that a ticket takes, so that a link fits a line of a reply: RFC 5321 §4.5.3.1.5.
const (
	maxTicket = 130 // bytes before it is sealed
	maxHelo   = 80
	maxRules  = 8
)

// NewTicket returns the ticket of a client that was judged.
func NewTicket(at time.Time, f *checks.Facts, v *checks.Verdict) *Ticket {
	t := &Ticket{Client: f.Client, Time: time.Unix(at.Unix(), 0).UTC(), Helo: clean.Text(f.LastHelo().Raw, maxHelo)}
	if v.Finding.Problem != nil { // the greeting that was refused, which need not be the last
		t.Helo = clean.Text(v.Finding.Problem.Helo, maxHelo)
	}
	t.Unsure = v.Finding.Result == checks.Unsure
	if v.Rule != nil && !t.Unsure {
		t.Rules = append(t.Rules, v.Rule.Name)
	}
	for rule := range strings.SplitSeq(v.Failed(), ",") {
		if len(t.Rules) < maxRules && checks.Index(rule) >= 0 && !slices.Contains(t.Rules, rule) {
			t.Rules = append(t.Rules, rule)
		}
	}
	confirmed := func(h checks.Host) bool { return slices.Contains(h.Addrs.Values, f.Client) }
	t.PTR = said(&f.PTR, confirmed, func(h checks.Host) string { return h.Name })
	t.Addr = t.addrs(f)
	return t
}

// Cut reports whether the HELO may go on, so that the DNS must not be asked about it.
func (t *Ticket) Cut() bool { return len(t.Helo) == maxHelo }

// Silent reports whether the client sent no HELO at all, which is not the same as an empty one.
func (t *Ticket) Silent() bool { return slices.Contains(t.Rules, "helo-missing") }

// addrs is what the DNS said of the greeting's name.
func (t *Ticket) addrs(f *checks.Facts) Said {
	for i := len(f.Greetings) - 1; i >= 0; i-- {
		g := &f.Greetings[i]
		if clean.Text(g.Helo.Raw, maxHelo) != t.Helo {
			continue
		}
		answer := g.A
		if f.Client.Is6() {
			answer = g.AAAA
		}
		return said(&answer, func(a netip.Addr) bool { return a == f.Client }, netip.Addr.String)
	}
	return Said{}
}

func said[T any](a *checks.Answer[T], leads func(T) bool, text func(T) string) Said {
	s := Said{Status: a.Status}
	if len(a.Values) > 0 {
		at := slices.IndexFunc(a.Values, leads)
		s.Leads = at >= 0
		s.Value, s.More = clean.Text(text(a.Values[max(at, 0)]), 255), min(len(a.Values)-1, 15)
	}
	return s
}

// version is the first byte of a ticket. Another form of ticket gets another one.
const version = 1

// append appends the ticket as bytes, at most maxTicket.
func (t *Ticket) append(b []byte) []byte {
	start := len(b)
	client := t.Client.AsSlice()
	b = append(b, version, byte(len(client)))
	b = append(b, client...)
	b = binary.BigEndian.AppendUint32(b, uint32(t.Time.Unix()))
	rules := t.Rules[:min(len(t.Rules), maxRules)]
	b = append(b, byte(len(rules))|topBit(t.Unsure))
	for _, rule := range rules {
		b = binary.BigEndian.AppendUint16(b, ruleID(rule))
	}
	b = appendText(b, t.Helo[:min(len(t.Helo), maxHelo)])
	for _, s := range []Said{t.PTR, t.Addr} {
		b = append(b, topBit(s.Leads)|byte(s.Status)<<4|byte(s.More))
		if len(b)-start+len(s.Value)+3 > maxTicket {
			s.Value = ""
		}
		b = appendText(b, s.Value)
	}
	return b
}

// topBit is the highest bit of a byte, which the numbers there leave free.
func topBit(set bool) byte {
	if set {
		return 0x80
	}
	return 0
}

func appendText(b []byte, text string) []byte { return append(append(b, byte(len(text))), text...) }

// errTicket is all that is said of a ticket that is not ours.
var errTicket = errors.New("not a valid link")

// parse reads what append has written.
func parse(b []byte) (*Ticket, error) {
	r := &reader{rest: b}
	if r.byte() != version {
		return nil, errTicket
	}
	t := &Ticket{}
	t.Client, _ = netip.AddrFromSlice(r.take(int(r.byte())))
	if at := r.take(4); at != nil {
		t.Time = time.Unix(int64(binary.BigEndian.Uint32(at)), 0).UTC()
	}
	n := r.byte()
	t.Unsure = n&0x80 != 0
	for range n &^ 0x80 {
		if id := r.take(2); id != nil {
			if rule := ruleOf(binary.BigEndian.Uint16(id)); rule != "" { // else it is of another version
				t.Rules = append(t.Rules, rule)
			}
		}
	}
	t.Helo = r.text()
	for _, s := range []*Said{&t.PTR, &t.Addr} {
		flags := r.byte()
		s.Leads = flags&0x80 != 0
		s.Status, s.More, s.Value = checks.Status(flags>>4&7), int(flags&15), r.text()
	}
	if r.short || len(r.rest) > 0 || !t.Client.IsValid() || t.PTR.Status > checks.Found || t.Addr.Status > checks.Found {
		return nil, errTicket
	}
	return t, nil
}

// reader reads bytes until there are too few.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short = r.short || n > len(r.rest); r.short {
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) text() string { return string(r.take(int(r.byte()))) }

// ruleID stands for a rule in a ticket, whatever its place in the table of another version. No two rules have the same.
func ruleID(name string) uint16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return uint16(h.Sum32() ^ h.Sum32()>>16)
}

// ruleOf is the rule of an id, or "".
func ruleOf(id uint16) string {
	for i := range checks.All {
		if ruleID(checks.All[i].Name) == id {
			return checks.All[i].Name
		}
	}
	return ""
}
