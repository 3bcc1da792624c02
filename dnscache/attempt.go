package dnscache

import "time"

// Attempt is a Resolver that answers from the cache alone, and asks nobody: what is not there is a failure,
// with Err "not cached". A caller whose answers are all there needs no goroutine, no deadline and no budget;
// one that missed something begins again with Resolver.For. Nothing counts before Keep: no hit of an entry,
// no OnRequest. An entry that was fresh when the attempt began is fresh to its end. It is for one goroutine.
type Attempt struct {
	Resolver
	now    time.Duration
	missed bool
	said   string // the name of the last lookup, and what canonical made of it: several are about one name
	name   string
	found  []*entry
	room   [6]*entry // for found: what a host's HELO or its PTR record takes
}

// Attempt returns an attempt to answer questions from the cache.
func (r *Resolver) Attempt() *Attempt {
	a := &Attempt{Resolver: Resolver{resolver: r.resolver}, now: r.now()}
	a.attempt, a.found = a, a.room[:0]
	return a
}

// Keep reports whether each lookup had its answer, and if so counts them: the attempt was all that was
// needed.
func (a *Attempt) Keep() bool {
	if a.missed {
		return false
	}
	for _, e := range a.found {
		e.hit()
		a.requested(e.reply(a.now))
	}
	return true
}

// spell is canonical. A nil attempt is none.
func (a *Attempt) spell(name string) (string, bool) {
	if a == nil {
		return canonical(name)
	}
	if a.said == name && name != "" {
		return a.name, true
	}
	spelled, ok := canonical(name)
	if ok {
		a.said, a.name = name, spelled
	}
	return spelled, ok
}

// Miss gives the attempt up.
func (a *Attempt) Miss() { a.missed = true }

// recall returns the fresh answer in the cache. One that is due to be fetched again counts as missed. After a
// miss there is nothing more to learn.
func (a *Attempt) recall(q question) reply {
	if !a.missed {
		kept, _ := a.cache.GetIfPresent(q)
		if kept.fresh(a.now) && !kept.prefetchDue(a.now) {
			a.found = append(a.found, kept)
			return kept.reply(a.now)
		}
	}
	a.missed = true
	return reply{answer: answer{result: &failure{kind: unreachable, text: "not cached"}}}
}
