package dnscache

import (
	"cmp"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// CacheResult is what the cache had for a lookup.
type CacheResult uint8

// The results of the cache.
const (
	CacheHit   CacheResult = iota // an answer that has not expired, a negative one or a failure included
	CacheStale                    // an answer that has expired: the servers fail, or are late
	CacheMiss                     // nothing: the question was for the servers
)

func (r CacheResult) String() string {
	return [...]string{CacheHit: "hit", CacheStale: "stale", CacheMiss: "miss"}[r]
}

// Asked is a question that went to the servers, when it has ended; or one try of it, with one server.
type Asked struct {
	Type string // "A", "AAAA", "MX", "NS", "PTR", "TXT"
	// Domain is what the question is about: the organizational domain of its name, in lower case and with a dot at its
	// end, or what the limits take for one. It is empty in a try.
	Domain string
	// Result is "found", "nxdomain" or "nodata", or why there is no answer: "servfail", "refused" or "rcode" for
	// any other rcode, "timeout", "unreachable" (nothing was sent, or the connection failed), "unusable"
	// (malformed or lame) or "filtered". If several servers fail, it is the most telling of these.
	Result    string
	Transport string        // of that result: "udp", "tcp", "tls", or "none" after an internal error
	Took      time.Duration // over all servers and retries, without the wait for a place
}

// kindWords are the results of Asked that are failures, by their kind.
var kindWords = [...]string{
	canceled: "canceled", unreachable: "unreachable", timeout: "timeout", unusable: "unusable",
	badRcode: "rcode", filtered: "filtered", missing: "missing",
}

// asked returns got as Config.OnAsked has it.
func (got reply) asked(q question, took time.Duration) Asked {
	a := Asked{
		Type: dns.TypeToString[q.qtype], Result: "found", Transport: cmp.Or(got.transport, "none"), Took: took,
	}
	if f := got.failure(); f != nil {
		a.Result = kindWords[f.kind]
		if f.kind == missing || f.text == "SERVFAIL" || f.text == "REFUSED" {
			a.Result = strings.ToLower(f.text)
		}
	}
	return a
}

// requested calls OnRequest for a lookup that got this reply.
func (r *resolver) requested(got reply) {
	if r.onRequest == nil {
		return
	}
	result := CacheMiss
	if _, old := got.result.(*stale); old {
		result = CacheStale
	} else if got.transport == "cache" {
		result = CacheHit
	}
	r.onRequest(result)
}

// Entries returns about how many answers are in the cache, expired ones included.
func (r *Resolver) Entries() int { return r.cache.EstimatedSize() }
