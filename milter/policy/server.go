package policy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"helo-milter/milter/door"
	"helo-milter/milter/gate"
)

// Server serves policy requests. It is a [gate.Door].
type Server struct {
	gate         *gate.Gate
	config       atomic.Pointer[door.Config]
	sessions     *sessions
	transactions door.Transactions
	serials      atomic.Uint64

	mu      sync.Mutex
	stopped bool
	conns   map[*conn]struct{} // that are served
	idle    chan struct{}      // closed when stopped and there are none
}

// NewServer returns a server of that configuration for connections that a gate lets in.
func NewServer(cfg *door.Config, g *gate.Gate) *Server {
	s := &Server{gate: g, sessions: newSessions(), conns: map[*conn]struct{}{}, idle: make(chan struct{})}
	s.Configure(cfg)
	return s
}

// Configure gives a new configuration to the SMTP sessions that begin from now on.
func (s *Server) Configure(cfg *door.Config) { s.config.Store(cfg) }

// Transactions returns how many mail transactions are open.
func (s *Server) Transactions() int { return s.transactions.Open() }

// Enter serves a connection in a goroutine of its own.
func (s *Server) Enter(nc net.Conn) {
	c := &conn{
		Conn: s.gate.Conn(nc), server: s, listener: nc.LocalAddr().String(),
		serial: strconv.FormatUint(s.serials.Add(1), 10),
	}
	if c.Peer.IsValid() {
		c.from = c.Peer.String()
	}
	if !s.gate.Admit(&c.Conn, c) {
		return
	}
	if !s.add(c) {
		_ = c.Close()
		return
	}
	go func() {
		defer s.remove(c)
		c.serve()
	}()
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.conns[c] = struct{}{}
	}
	return !s.stopped
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.restLocked()
}

func (s *Server) restLocked() {
	if s.stopped && len(s.conns) == 0 {
		select {
		case <-s.idle:
		default:
			close(s.idle)
		}
	}
}

// Shutdown ends the connections of all doors, each after the answer that it is about to give or when the context ends,
// and then the sessions. The gate must have been closed.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	s.restLocked()
	s.mu.Unlock()
	s.gate.Drain()
	defer s.sessions.endAll()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-s.idle:
		return nil
	case <-time.After(partingTime):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
	return fmt.Errorf("%d policy requests are still open: %w", len(s.conns), ctx.Err())
}

// partingTime is how long answers may still take when a shutdown has taken all of its time.
const partingTime = 2 * time.Second

// Speak asks as a mail server does, about nobody.
func (s *Server) Speak(conn net.Conn) error {
	const want = "action=" + dunno + "\n\n"
	if _, err := io.WriteString(conn, "request=smtpd_access_policy\nprotocol_state=VRFY\n\n"); err != nil {
		return err
	}
	answer := make([]byte, len(want))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return fmt.Errorf("no answer to a policy request: %w", err)
	}
	if string(answer) != want {
		return fmt.Errorf("a policy request was answered with %q", answer)
	}
	return nil
}

// answer returns the action for a request on a connection.
func (s *Server) answer(c *conn, r *request) string {
	switch r.state {
	case "CONNECT", "HELO", "EHLO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE":
	case "QUIT":
		s.sessions.quit(c.keyOf(r))
		return dunno
	default:
		return dunno
	}
	begin := func() door.Session { return door.New(s.config.Load(), &s.transactions) }
	now := s.sessions.get(c.keyOf(r), r.state == "CONNECT", begin)
	if c.session != nil && c.session != now {
		s.sessions.end(c.session)
	}
	c.session = now
	return now.answer(r)
}

// conn is a connection of a mail server.
type conn struct {
	gate.Conn
	server                 *Server
	listener, from, serial string   // what it is known by
	session                *session // of its last request

	requests int
	answered time.Time // the last of them

	mu      sync.Mutex
	drained bool
}

// writeTime is how long a peer may take to read an answer.
const writeTime = 10 * time.Second

// serve answers requests until the peer closes.
func (c *conn) serve() {
	defer c.Close()
	requests := bufio.NewReaderSize(c, maxLine)
	for {
		r, err := c.next(requests)
		if err != nil {
			c.ended(err)
			return
		}
		if c.requests++; c.requests == 1 {
			c.Keep()
		}
		answer := "action=" + c.server.answer(c, r) + "\n\n"
		_ = c.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := io.WriteString(c.Conn, answer); err != nil {
			return
		}
		c.answered = time.Now()
	}
}

// next reads the next request.
func (c *conn) next(requests *bufio.Reader) (*request, error) {
	wait := c.Limits.Idle
	if c.requests == 0 {
		wait = c.Limits.Frame
	}
	if requests.Buffered() == 0 && !c.expire(wait) {
		return nil, io.EOF
	}
	begun := false
	r, err := read(requests, func() {
		begun = true
		c.expire(c.Limits.Frame)
	})
	timeout, _ := errors.AsType[net.Error](err)
	switch {
	case timeout == nil || !timeout.Timeout():
	case c.isDrained():
		err = io.EOF
	case begun:
		err = violation(kindSlow)
	case c.requests == 0:
		err = violation(kindSilent)
	default:
		err = violation(kindIdle)
	}
	return r, err
}

// ended notes how a connection has ended. One that has waited for more was of a server that keeps it for all its
// sessions, as Postfix does: the last of them is over.
func (c *conn) ended(err error) {
	if kind, ok := errors.AsType[violation](err); ok {
		c.Violation(string(kind))
	}
	const wait = time.Second
	if c.session != nil && (c.requests > 1 || time.Since(c.answered) > wait) {
		c.session.settle()
	}
}

// expire gives the next reads a time, and reports whether anything is to be read at all.
func (c *conn) expire(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.drained {
		_ = c.SetReadDeadline(time.Now().Add(d)) // fails on a closed connection only, as will the read
	}
	return !c.drained
}

// Drain ends the connection after the answer that it is about to give.
func (c *conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained = true
	_ = c.SetReadDeadline(time.Unix(1, 0)) // long ago
}

func (c *conn) isDrained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drained
}
