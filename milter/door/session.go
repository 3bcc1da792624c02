package door

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/netip"
	"slices"
	"strings"

	"helo-milter/checks"
)

// Session is one SMTP session of a client. Its methods are for one goroutine; those before Finish may panic.
type Session struct {
	Config *Config // the one that the session began with
	ID     string  // 26 characters that no other session has
	Host   string  // our own name

	transactions *Transactions
	internal     bool // an error of ours: none of its messages is judged
	pipe         *checks.Session
	class        string   // by its last decision, see Config.Ended; "" before
	message      *message // nil while none is open: most sessions wait, and many at a time
}

// New returns a session of a client that has not connected yet. Its transactions are counted there.
func New(cfg *Config, transactions *Transactions) Session {
	return Session{Config: cfg, ID: strings.ToLower(rand.Text()), Host: cfg.Site.Hostname, transactions: transactions}
}

// Connect opens the session of a client, and starts the lookup of its PTR names. An invalid address is that of a
// client without one. The host is what the mail server calls itself, and addresses are those that the client may have
// connected to, as far as they are known: loopback and unspecified ones are nobody's.
func (s *Session) Connect(client netip.Addr, host string, addresses ...netip.Addr) {
	s.internal = false
	site := s.Config.Site
	site.Hostname = cmp.Or(site.Hostname, checks.Canonical(host))
	site.Addresses = slices.Clone(site.Addresses)
	for _, a := range addresses {
		if a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() {
			site.Addresses = append(site.Addresses, a)
		}
	}
	s.Host = site.Hostname
	s.open(client, site)
}

// open opens the session of a client that speaks to a site.
func (s *Session) open(client netip.Addr, site checks.Site) {
	s.Leave()
	s.pipe = s.Config.Open(context.Background(), s.Config.DNS, client, site)
}

// connected makes up for a CONNECT that did not come.
func (s *Session) connected() {
	if s.pipe == nil {
		s.open(netip.Addr{}, s.Config.Site)
	}
}

// Resolved notes what the mail server found out about its client's name, after Connect.
func (s *Session) Resolved(m checks.MTAResolve) { s.pipe.MTAResolved(m) }

// Greet notes a HELO or EHLO, and starts the lookup of its name.
func (s *Session) Greet(helo string) {
	s.connected()
	s.pipe.Greet(checks.ParseHelo(helo))
}

// LoggedIn notes that the client of the transaction has authenticated itself.
func (s *Session) LoggedIn() { s.pipe.LoggedIn() }

// Facts returns what is known of the client, and waits for nothing.
func (s *Session) Facts() *checks.Facts { return s.pipe.Facts() }

// Leave ends the session, and the lookups. A panic in one that was not waited for has not affected any transaction.
func (s *Session) Leave() {
	defer func() { s.report(recover()) }()
	s.Finish("")
	if s.pipe == nil {
		return
	}
	if s.Config.Ended != nil {
		s.Config.Ended(cmp.Or(s.class, Undecided))
	}
	pipe := s.pipe
	s.pipe, s.class = nil, ""
	pipe.Close()
}

// Survives takes what recover returned, and reports whether that was a panic: then the mail goes on. The open
// transaction is not judged any further, or none of the session's where none is open.
func (s *Session) Survives(recovered any) bool {
	if recovered == nil {
		return false
	}
	if s.Open() {
		s.pipe.Abandon()
	} else {
		s.internal = true
	}
	s.report(recovered)
	return true
}

// Try does what the mail must not wait for in vain, and reports whether it did without a panic.
func (s *Session) Try(do func()) (ok bool) {
	defer func() { ok = !s.Survives(recover()) }()
	do()
	return true
}

// retry does what takes a judgement, and once more as for an internal error where it panics.
func (s *Session) retry(do func()) {
	if !s.Try(do) {
		s.Try(do)
	}
}

// report passes on what recover returned.
func (s *Session) report(recovered any) {
	if recovered != nil && s.Config.OnPanic != nil {
		p := checks.Caught(recovered)
		s.Config.OnPanic(p.Value, p.Stack)
	}
}
