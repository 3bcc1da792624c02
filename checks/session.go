package checks

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// Session is the one way of a client through the pipe: it is opened at CONNECT, greets, begins mail
// transactions, names recipients, and each transaction ends with a Decision. The milter, check and replay
// are its adapters. Its methods are for one goroutine.
//
// Greet, Mail and LoggedIn wait for nothing. Rcpt waits for the lookups, at most for DNS.Timeout.
type Session struct {
	judge    *Judge
	lookups  *lookups // nil where the facts were recorded
	recorded *Facts
	exempt   string // why the client is exempt by its address, or ""
	strictly bool   // as if the allow list had no entries
	mta      MTAResolve
	unheard  bool
	mail     transaction
}

// transaction is a mail transaction of a session.
type transaction struct {
	at       time.Time
	login    bool
	internal bool      // an error of ours: it is not judged any further
	exempt   string    // why it is not judged, or ""
	open     bool      // a failed lookup left open whether the allow list exempts it
	facts    *Facts    // the same for all recipients; nil until Rcpt needs them
	rcpt     string    // the domain of the last recipient
	found    []Finding // for it
	judged   []Finding // the worst of all recipients
	passing  []Finding // the worst of those that were not refused
	asked    []Finding // for Judge.Mailbox: those of no recipient
	did      Action    // the strictest answer so far
}

// Open opens the session of a client that connected to a site, and starts the lookup of its PTR names: unless
// it is exempt by its address, or dns is nil. The address is taken as ClientAddr has it. Close must be
// called.
func (j *Judge) Open(ctx context.Context, dns *DNS, client netip.Addr, site Site) *Session {
	exempt := j.Exempt.address(client)
	if exempt == "" { // nor by the address that a translator has made of it
		client = ClientAddr(client)
		exempt = j.Exempt.address(client)
	}
	if exempt != "" {
		dns = nil
	}
	return &Session{judge: j, exempt: exempt, lookups: newLookups(ctx, dns, client, site)}
}

// Reopen opens the session that recorded facts are from. Its greetings are in the facts: nothing is looked up,
// and the facts are not modified.
func (j *Judge) Reopen(f *Facts) *Session {
	return &Session{judge: j, exempt: j.Exempt.address(f.Client), recorded: f}
}

// MTAResolved notes what the MTA found out about its client's name.
func (s *Session) MTAResolved(m MTAResolve) { s.mta = m }

// Greet notes a HELO or EHLO and starts the lookup of its name. The last one counts as the client's name. It
// must not be called for a reopened session.
func (s *Session) Greet(h Helo) { s.lookups.greet(h) }

// Unheard notes that the client did send HELO or EHLO, but that its name was not recorded.
func (s *Session) Unheard() { s.unheard = true }

// Mail begins a mail transaction. What was known of the one before is forgotten, its login included.
func (s *Session) Mail(at time.Time) { s.mail = transaction{at: at, exempt: s.exempt} }

// LoggedIn notes that the client of the transaction has authenticated itself.
func (s *Session) LoggedIn() {
	s.mail.login = true
	if s.mail.exempt == "" {
		s.mail.exempt = s.judge.Exempt.login()
	}
}

// Rcpt judges the client for one recipient, given by its domain in canonical form, or for none yet: "". It
// panics with a *Panic when a lookup did.
func (s *Session) Rcpt(domain string) Verdict {
	t := &s.mail
	s.know()
	if t.exempt != "" || t.internal {
		return s.verdict(nil)
	}
	if t.found == nil || t.rcpt != domain {
		t.rcpt, t.found = domain, Evaluate(t.facts, s.judge.Deny, domain)
	}
	v := s.verdict(t.found)
	t.judged = Worst(t.judged, t.found)
	if did := v.Did(); did > Off {
		t.did = max(t.did, did)
	} else {
		t.passing = Worst(t.passing, t.found)
	}
	return v
}

// Rcpts judges the client for each domain of these recipients, or for none where there are none. Judge.Mailbox is asked.
func (s *Session) Rcpts(rcpts []string) {
	if s.judge.OnlyAsked(rcpts) {
		s.ask()
		return
	}
	var domains []string
	for _, rcpt := range rcpts {
		if s.judge.Asked(rcpt) {
			continue
		}
		if domain := Domain(rcpt); !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	if len(domains) == 0 {
		domains = []string{""}
	}
	for _, domain := range domains {
		s.Rcpt(domain)
	}
}

// know waits for the facts of the transaction, unless it is not judged.
func (s *Session) know() {
	t := &s.mail
	if t.facts != nil || t.exempt != "" || t.internal {
		return
	}
	if t.facts = s.recorded; t.facts == nil {
		t.facts = s.complete(s.lookups.wait())
		if s.mta.Differs(t.facts.Iprev()) {
			t.facts.MTAResolve = s.mta
		}
	}
	if !s.strictly {
		t.exempt, t.open = s.judge.Exempt.listed(t.facts, t.at)
	}
}

// complete adds to facts what the session knows beside its greetings.
func (s *Session) complete(f *Facts) *Facts {
	f.Login, f.Unheard = s.mail.login, s.unheard
	return f
}

// Facts returns what is known of the client, and waits for nothing: without answers of the DNS where the
// transaction needed none.
func (s *Session) Facts() *Facts {
	switch {
	case s.mail.facts != nil:
		return s.mail.facts
	case s.recorded != nil:
		return s.recorded
	default:
		return s.complete(s.lookups.withoutDNS())
	}
}

// Findings returns the worst findings of all recipients so far, rule by rule: nil before the first.
func (s *Session) Findings() []Finding { return s.mail.judged }

// decided are the findings of a decision.
func (s *Session) decided() []Finding {
	if s.mail.judged == nil {
		return s.mail.asked
	}
	return s.mail.judged
}

// Settled reports whether there is a decision: a recipient was judged, or none has to be.
func (s *Session) Settled() bool {
	return s.decided() != nil || s.mail.exempt != "" || s.mail.internal
}

// Passing is the verdict on the recipients that were not refused: what the message's header says. Where all were, and
// the message comes nevertheless (Postfix's warn_if_reject), it is that on all of them.
func (s *Session) Passing() Verdict {
	if s.mail.passing == nil {
		return s.verdict(s.decided())
	}
	return s.verdict(s.mail.passing)
}

// Decision is what became of the transaction, by the worst of all recipients. The caller adds what the
// session does not know: its fields from ID to RcptTo, Header and Took.
func (s *Session) Decision() *Decision {
	f := s.Facts()
	return &Decision{
		MTA: f.Site.Hostname, Facts: f, Verdict: s.verdict(s.decided()), Did: s.mail.did,
		Help: s.judge.Help, Time: s.mail.at,
	}
}

// Reply is the reply of a verdict on a recipient of the transaction, or nil. id is that of the session.
func (s *Session) Reply(v *Verdict, id string) *Reply {
	return v.Reply(s.Facts(), id, s.mail.at, &s.judge.Help)
}

func (s *Session) verdict(findings []Finding) Verdict {
	switch t := &s.mail; {
	case t.internal:
		return Verdict{Internal: true, Mode: s.judge.Policy.Mode}
	case t.exempt != "":
		return Verdict{Exempt: t.exempt, Mode: s.judge.Policy.Mode}
	case t.open:
		return s.judge.Policy.decideOpen(findings)
	default:
		return s.judge.Policy.Decide(findings)
	}
}

// Abandon ends the judging of the transaction after an internal error: the mail goes on, and the decision says
// so. A recipient that was refused before stays refused.
func (s *Session) Abandon() {
	s.mail.internal = true
	s.mail.judged, s.mail.passing, s.mail.asked = nil, nil, nil
}

// Close ends the lookups that are still running. It panics as Rcpt does, unless Rcpt has.
func (s *Session) Close() {
	if s.lookups != nil {
		s.lookups.close()
	}
}
