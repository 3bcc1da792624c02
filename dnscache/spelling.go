package dnscache

import (
	"context"
	"crypto/rand"
	"time"
)

const (
	// caseTimeout bounds the query over TCP after an answer in another case, from a server that has not shown
	// that it copes: a plain query that then has to follow is answered before the next server is asked.
	caseTimeout = hedgeDelay / 2
	// copesFor is how long an answer in the case of the question shows that the server copes. It bounds how
	// long names are lost when other software takes over the address of the server.
	copesFor = 10 * time.Minute
	// plainFor is how long a server that does not cope is asked plainly, until it is tried again.
	plainFor = time.Hour
)

// spell is negotiate with the name in random case. Some servers do not cope with that: they find nothing
// (netbirdio/netbird#2647), or they answer in lower case (tailscale/tailscale#2597), and of the latter some
// cannot be reached over TCP. So the question is asked again plainly, in lower case, after
//
//   - NXDOMAIN or NODATA over UDP. The same answer again holds, and shows nothing about the server;
//   - an answer in another case, if TCP gave none that holds. If it did, it is used, each time.
//
// If the plain answer is another one, the server is asked plainly for plainFor. Nothing is asked again of a
// server that has shown lately that it copes, by finding a name with capital letters: its negative answers
// hold, and those in another case are forged, so that only TCP counts.
//
// A plain query is protected by ID and port alone, as all are with CaseOff. To have a false answer accepted,
// a forger has to guess those of two queries in a row, which is harder than with CaseOff. With a server that
// has no TCP and has not shown lately that it copes, one right guess gets him an hour of plain queries.
//
// What is known is about the server, not about a zone. One that copes may hand some names on to one that does
// not, and then these are missing. To ask again after each negative answer would cost one more query for each
// client without a PTR record; CaseOff is the remedy there, and where a cache in between keeps the negative
// answer to the first query, so that the plain one gets it too.
func (r *resolver) spell(ctx context.Context, u *upstream, q question) reply {
	mixed := q
	if r.spelling.mixes(u.addr) && !r.pool.plain(u, r.now()) {
		mixed.name = mixCase(q.name)
	}
	if mixed == q { // or by chance
		return r.negotiate(ctx, u.addr, q, tcpTimeout)
	}
	afterCase := caseTimeout
	if r.pool.copes(u, r.now()) {
		afterCase = tcpTimeout
	}
	got := r.negotiate(ctx, u.addr, mixed, afterCase)
	f := got.failure()
	if f == nil && got.transport == "udp" {
		r.pool.setCopes(u, r.now())
	}
	missed := f != nil && f.kind == missing && got.transport == "udp"
	unanswered := f != nil && f.kind != missing && got.misspelled
	if !missed && !unanswered || r.pool.copes(u, r.now()) {
		return got
	}
	again := r.negotiate(ctx, u.addr, q, tcpTimeout)
	if a := again.failure(); a == nil || a.kind == missing && a.text != f.text {
		if r.pool.setPlain(u, r.now()) && r.onPlain != nil {
			r.onPlain(u.addr)
		}
	}
	return again
}

// mixCase gives each letter of a name a random case. Escapes have no letters: \DDD and \. (see canonical).
// The bits come from crypto/rand, as the ID does: a server that sees them must not be able to predict those
// of other queries.
func mixCase(name string) string {
	mixed, random := []byte(name), make([]byte, len(name))
	rand.Read(random) // never fails
	for i, c := range mixed {
		if lower := c | 0x20; 'a' <= lower && lower <= 'z' {
			mixed[i] = c ^ random[i]&0x20
		}
	}
	return string(mixed)
}

// copes reports whether u has shown lately that it copes with random case.
func (p *pool) copes(u *upstream, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now < u.copes
}

// setCopes records that u has found a name with capital letters, and has repeated its case.
func (p *pool) setCopes(u *upstream, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u.copes = now + copesFor
}

// plain reports whether u is asked plainly.
func (p *pool) plain(u *upstream, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now < u.plain
}

// setPlain records that u does not cope with random case, and reports whether that is news.
func (p *pool) setPlain(u *upstream, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := now >= u.plain
	u.plain = now + plainFor
	return news
}
