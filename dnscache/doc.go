// Package dnscache is a caching stub resolver with methods like those of *net.Resolver.
//
// It asks the configured recursive servers and no other source: no hosts file, no search list, and every
// name is absolute. Each question goes to the servers once, however many callers ask it at the same time,
// and its answer, positive or negative, is kept for as long as the DNS allows. A failure is never taken for
// an answer: a caller that decides about mail can tell "there is no such name" from "nobody knows", and
// [Resolver.Degraded] reports when the DNS as a whole fails.
//
// # How a question is answered
//
// Each rung of this ladder is one function. It calls the next one, and adds one thing to it:
//
//	lookup         resolver.go    canonical name before, trace and *net.DNSError after
//	readThrough    cache.go       cache: fresh answers, stale ones if servers are late; caller's deadline
//	join           flight.go      one flight for all callers of a question; the session's budget
//	fly            flight.go      a place, which it has waited for if need be; a panic is a failure
//	fetch          flight.go      its own deadline; keeps the result, a failure longer each time
//	watch          flight.go      what the circuit breaker counts
//	failover       failover.go    servers in order: the next one after 400 ms, or as soon as one fails
//	track          health.go      health of the server: one that is down comes last and is probed
//	spell          spelling.go    the name in random case, or plainly if the server does not cope with that
//	negotiate      negotiate.go   one server: with EDNS or without, UDP and then TCP, or TLS
//	exchange       exchange.go    one query on the wire, and the one reply that belongs to it
//
// The first three run in the goroutine of each caller, the others once for all callers: a flight that is with
// the servers goes on when its callers leave, and one that waits for a place is given up with the last of
// them. Beside the rungs, limits.go has the places and whose turn it is, stale.go and weight.go are about the
// entries of the cache that have expired or are large, breaker.go decides from what watch records, and from
// the canary of canary.go, whether the DNS as a whole fails, pool.go and resolvconf.go have the list of
// servers, case.go is the random case on the wire, and observe.go has what a program can count: cache
// results, and questions that have ended.
//
// A caller that would rather know at once whether all its answers are in the cache makes an [Attempt]
// (attempt.go), and comes to this ladder if it misses one.
//
// # Whose questions they are
//
// A question that an SMTP client causes is asked through [Resolver.For]. Three things are shared out there,
// since the client decides how many questions there are: its session has a [Budget]; its host and its network
// have no more than their share of the places ([Config.InFlight]); and its failures count only so far for the
// breaker.
//
// What comes back is a plain value at each rung (answer.go): the values, in the types that the lookups
// return, or a failure with its kind (failure.go). A message of the DNS becomes such a value in one place,
// read in answer.go, and a record in records.go. Only lookup makes an error of a failure.
//
// # How to add a record type
//
// For example SRV:
//
//   - records.go: a case of values, and a function that reads one record for collect. A record without data
//     is no value.
//   - resolver.go: LookupSRV(ctx, name), which calls lookup with the type of one value. Take that of package
//     net if there is one.
//   - weight.go: if no other lookup returns that type, its size, as one value and as a slice. overhead covers
//     a type of 24 octets besides its text.
//   - trace.go: likewise a loop in display, and the name of the record type in the comment of Trace.Type.
//   - Tests: a case of resolve in main_test.go, a line at the end of samples in answer_test.go (fuzz corpora
//     refer to samples by index), and rows in the table of TestLookup. Package dnstest serves all types of
//     zone text; in its falseRecords the type needs a line, the data of forged answers.
//
// FuzzAnswer fails if weight.go or trace.go has been forgotten.
//
// # How to test
//
// Package dnstest is a DNS server for tests that misbehaves on request; how to add a misbehaviour is
// described there. Tests of time run in a testing/synctest bubble, without sockets: they set
// [Config.Exchange] to a function, which usually asks a dnstest.Zone.
package dnscache
