package policy

import (
	"container/list"
	"strconv"
	"sync"
	"time"

	"helo-milter/milter/door"
)

// sessionLife is how long a session is remembered after its last request: longer than Postfix lets a client be silent
// (smtpd_timeout, 5 min).
const sessionLife = 6 * time.Minute

// maxSessions bounds how many sessions are remembered. Beyond that, the one that was silent longest ends.
const maxSessions = 10_000

// key is what an SMTP session is known by. Without the client's port, the instance has to do.
type key struct {
	listener, peer, server, client, port, instance string
}

// keyOf returns the key of a request that came on a connection.
func (c *conn) keyOf(r *request) key {
	k := key{listener: c.listener, peer: c.from, server: cut(r.server), client: cut(r.client)}
	switch n, err := strconv.ParseUint(r.port, 10, 16); {
	case err == nil && n > 0:
		k.port = r.port
	case r.instance != "":
		k.instance = "=" + cut(r.instance)
	default:
		k.instance = c.serial // before MAIL, there is nothing else that tells sessions apart
	}
	return k
}

// cut bounds what is kept of a text.
func cut(s string) string { return s[:min(len(s), maxKey)] }

// sessions are the SMTP sessions that requests may still belong to.
type sessions struct {
	mu     sync.Mutex
	known  map[key]*list.Element // of *session
	recent *list.List            // those that had a request last come last
	expiry *time.Timer           // for the first of them; nil if there is none
}

func newSessions() *sessions { return &sessions{known: map[key]*list.Element{}, recent: list.New()} }

// get returns the session of a key, which is a new one if there is none or if it begins anew.
func (t *sessions) get(k key, anew bool, begin func() door.Session) *session {
	s, over := t.find(k, anew, begin)
	for _, other := range over {
		other.end()
	}
	return s
}

// find is get, and returns which sessions are over, for others may wait for the lock.
func (t *sessions) find(k key, anew bool, begin func() door.Session) (s *session, over []*session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.known[k]; e != nil && !anew {
		s = e.Value.(*session)
		s.last = time.Now()
		t.recent.MoveToBack(e)
		return s, nil
	} else if e != nil {
		over = append(over, t.removeLocked(e))
	}
	if t.recent.Len() >= maxSessions {
		over = append(over, t.removeLocked(t.recent.Front()))
	}
	s = &session{Session: begin(), key: k, last: time.Now()}
	t.known[k] = t.recent.PushBack(s)
	if t.expiry == nil {
		t.expiry = time.AfterFunc(sessionLife, t.expire)
	}
	return s, over
}

func (t *sessions) removeLocked(e *list.Element) *session {
	s := t.recent.Remove(e).(*session)
	delete(t.known, s.key)
	return s
}

// expire ends the sessions that had no request for sessionLife.
func (t *sessions) expire() {
	var over []*session
	t.mu.Lock()
	t.expiry = nil
	for e := t.recent.Front(); e != nil; e = t.recent.Front() {
		if left := sessionLife - time.Since(e.Value.(*session).last); left > 0 {
			t.expiry = time.AfterFunc(left, t.expire)
			break
		}
		over = append(over, t.removeLocked(e))
	}
	t.mu.Unlock()
	for _, s := range over {
		s.end()
	}
}

// end ends a session, unless that has happened.
func (t *sessions) end(s *session) {
	t.mu.Lock()
	e := t.known[s.key]
	found := e != nil && e.Value.(*session) == s
	if found {
		t.removeLocked(e)
	}
	t.mu.Unlock()
	if found {
		s.end()
	}
}

// quit ends the session of a key, if there is one.
func (t *sessions) quit(k key) {
	t.mu.Lock()
	e := t.known[k]
	t.mu.Unlock()
	if e != nil {
		t.end(e.Value.(*session))
	}
}

// endAll ends all sessions.
func (t *sessions) endAll() {
	var over []*session
	t.mu.Lock()
	if t.expiry != nil {
		t.expiry.Stop()
		t.expiry = nil
	}
	for e := t.recent.Front(); e != nil; e = t.recent.Front() {
		over = append(over, t.removeLocked(e))
	}
	t.mu.Unlock()
	for _, s := range over {
		s.end()
	}
}
