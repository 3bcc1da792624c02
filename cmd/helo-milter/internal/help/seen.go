package help

import (
	"net/netip"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"helo-milter/checks"
)

// How much of the clients of this host is kept in memory: about 3 KB for each, 15 MB in all, and never more than 60.
const (
	maxRecent  = 4000 // last sessions, by their id
	maxWatched = 1000 // clients whose page somebody has opened
	maxSize    = 8192 // bytes of what a session said and what the DNS said to it; a larger one is not kept
)

// Seen keeps the last sessions of this host's clients, without their envelopes. Its methods are safe for concurrent use.
type Seen struct {
	mu      sync.Mutex
	recent  *simplelru.LRU[string, *checks.Decision]     // by session
	last    map[netip.Addr]string                        // the last of them of each client
	watched *simplelru.LRU[netip.Addr, *checks.Decision] // the last session of a client; nil before there is one
	waiting map[netip.Addr]map[chan struct{}]bool        // who is told of the next one
}

// NewSeen returns a Seen of a host that has seen nobody.
func NewSeen() *Seen {
	s := &Seen{last: map[netip.Addr]string{}, waiting: map[netip.Addr]map[chan struct{}]bool{}}
	s.recent, _ = simplelru.NewLRU(maxRecent, func(id string, d *checks.Decision) { // never fails: the size is positive
		if client := d.Facts.Client; s.last[client] == id {
			delete(s.last, client)
		}
	})
	s.watched, _ = simplelru.NewLRU[netip.Addr, *checks.Decision](maxWatched, nil)
	return s
}

// Decided keeps a decision about a client that was judged, or is on the allow list.
func (s *Seen) Decided(d *checks.Decision) {
	exempt := d.Verdict.Exempt != "" && d.Verdict.Exempt != checks.AllowList
	if d.Verdict.Internal || exempt || sizeOf(d.Facts) > maxSize {
		return
	}
	kept := *d
	kept.MailFrom, kept.RcptTo, kept.QueueID, kept.Header = "", nil, "", ""
	client := kept.Facts.Client
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.Add(kept.ID, &kept)
	s.last[client] = kept.ID
	if s.watched.Contains(client) {
		s.watched.Add(client, &kept)
	}
	s.notify(client)
}

// sizeOf returns about how many bytes facts take that a client and its DNS servers can make large.
func sizeOf(f *checks.Facts) int {
	size := hostsSize(f.PTR.Values)
	for i := range f.Greetings {
		g := &f.Greetings[i]
		size += 500 + 2*len(g.Helo.Raw) + addrSize*(len(g.A.Values)+len(g.AAAA.Values)) + hostsSize(g.Hosts)
		for _, names := range [2][]string{g.MX.Values, g.NS.Values} {
			for _, name := range names {
				size += stringSize + len(name)
			}
		}
	}
	return size
}

// The bytes of an address and of a string without its text.
const addrSize, stringSize = 24, 16

func hostsSize(hosts []checks.Host) (size int) {
	for i := range hosts {
		size += 150 + len(hosts[i].Name) + addrSize*len(hosts[i].Addrs.Values)
	}
	return size
}

// session returns the ticket of a session that is still kept, or nil.
func (s *Seen) session(id string) *Ticket {
	s.mu.Lock()
	d, ok := s.recent.Get(id)
	s.mu.Unlock()
	if !ok {
		return nil
	}
	return NewTicket(d.Time, d.Facts, &d.Verdict)
}

// next returns the client's last session, if it began after the refusal of the ticket. From now on its sessions are kept.
func (s *Seen) next(t *Ticket) *checks.Record {
	s.mu.Lock()
	d, ok := s.watched.Get(t.Client)
	if !ok {
		if id := s.last[t.Client]; id != "" {
			d, _ = s.recent.Get(id)
		}
		s.watched.Add(t.Client, d)
	}
	s.mu.Unlock()
	if d == nil || d.Time.Unix() <= t.Time.Unix() {
		return nil
	}
	return d.Record(false)
}

// watch returns a channel that has a value after something has changed about a client. stop has to be called.
func (s *Seen) watch(client netip.Addr) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[client] == nil {
		s.waiting[client] = map[chan struct{}]bool{}
	}
	s.waiting[client][c] = true
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting[client], c)
		if len(s.waiting[client]) == 0 {
			delete(s.waiting, client)
		}
	}
}

// changed tells those who watch a client.
func (s *Seen) changed(client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notify(client)
}

// notify is changed for a caller that holds mu.
func (s *Seen) notify(client netip.Addr) {
	for c := range s.waiting[client] {
		select {
		case c <- struct{}{}:
		default: // it has not looked since
		}
	}
}
