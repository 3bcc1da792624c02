package help

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"helo-milter/checks"
)

// Settings are what a Server answers with. They must not be modified once in use.
type Settings struct {
	Keys   *Keys
	Valid  time.Duration // how long a link is
	Asking *Asking
}

// What Server.OnRequest is called with.
const (
	Page   = "page"   // of a case
	Gone   = "gone"   // of a link that is not valid
	Test   = "test"   // the DNS was asked
	Busy   = "busy"   // it was not: too soon, or too many others
	Events = "events" // a page waits for what changes
	Rule   = "rule"   // of a rule, or of all
)

// Server answers those whose mail was refused. Its methods are safe for concurrent use. The zero value is not ready: see
// NewServer.
type Server struct {
	Seen *Seen
	Log  *slog.Logger
	// OnRequest is called with what was asked for, one of the words above, and OnPanic for an internal error that a
	// request survived.
	OnRequest func(what string)
	OnPanic   func(value any, stack []byte)

	settings atomic.Pointer[Settings]
	tests    *tests
	streams  chan struct{} // has a value for each page that waits
}

// NewServer returns a server without settings. Its fields Log, OnRequest and OnPanic have to be set.
func NewServer() *Server {
	return &Server{Seen: NewSeen(), tests: newTests(), streams: make(chan struct{}, maxStreams)}
}

// Configure puts settings in use, for requests that begin later.
func (s *Server) Configure(settings *Settings) { s.settings.Store(settings) }

// The limits of the listener. MaxConnections are open files that the process needs for it.
const (
	MaxConnections = 200
	maxPerPeer     = 20 // of a peer that is not on this host
	maxStreams     = 50
	streamTime     = 10 * time.Minute
	streamBeat     = 20 * time.Second // proxies give up what is silent for a minute
	writeTime      = 10 * time.Second
)

// Serve answers on a listener until the server that it returns is closed.
func (s *Server) Serve(ln net.Listener) *http.Server {
	server := &http.Server{
		Handler:           s.survive(s.routes()),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: writeTime, WriteTimeout: testTime + writeTime,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	go func() { _ = server.Serve(limit(ln)) }() // ends with Close
	return server
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /r/{token}", s.page)
	mux.HandleFunc("GET /r/{token}/events", s.events)
	mux.HandleFunc("POST /r/{token}/test", s.test)
	mux.HandleFunc("GET /rule/{name}", s.rule)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		s.OnRequest(Rule)
		s.write(w, http.StatusOK, renderRules)
	})
	mux.HandleFunc("GET /style.css", asset("text/css; charset=utf-8", stylesheet))
	mux.HandleFunc("GET /script.js", asset("text/javascript; charset=utf-8", script))
	mux.HandleFunc("GET /robots.txt", asset("text/plain; charset=utf-8", "User-agent: *\nDisallow: /\n"))
	mux.HandleFunc("/", s.gone)
	return mux
}

// policy allows nothing but our own style sheet and script (CSP Level 3).
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// survive answers a request, and survives a panic in it. A link is nobody else's: it must not be stored, indexed, or
// passed on.
func (s *Server) survive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				s.OnPanic(p, debug.Stack())
				http.Error(w, "An internal error. Please try again later.", http.StatusInternalServerError)
			}
		}()
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		next.ServeHTTP(w, r)
	})
}

func asset(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = io.WriteString(w, text)
	}
}

// write writes a page whole, or none.
func (s *Server) write(w http.ResponseWriter, status int, render func(io.Writer) error) {
	var page bytes.Buffer
	if err := render(&page); err != nil {
		panic(err) // a bug in a template: no data can cause it
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}

// gone is the answer to every link that is not valid, whatever is wrong with it.
func (s *Server) gone(w http.ResponseWriter, _ *http.Request) {
	s.OnRequest(Gone)
	s.write(w, http.StatusNotFound, renderGone)
}

// open returns the ticket of a request: of its token, or of a session that this host remembers. It is nil after the
// request was answered with gone.
func (s *Server) open(w http.ResponseWriter, r *http.Request) (token string, t *Ticket) {
	token = strings.ToLower(r.PathValue("token")) // the one spelling by which tests are counted, see Keys.Open
	settings := s.settings.Load()
	t, err := settings.Keys.Open(token, time.Now(), settings.Valid)
	if err != nil {
		t = s.Seen.session(token)
	}
	if t == nil {
		s.gone(w, r)
	}
	return token, t
}

// state is what there is to show of a ticket.
func (s *Server) state(token string, t *Ticket) *State {
	state := &State{Token: token, Ticket: t, Next: s.Seen.next(t)}
	s.tests.state(state)
	return state
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	token, t := s.open(w, r)
	if t == nil {
		return
	}
	s.OnRequest(Page)
	state := s.state(token, t)
	s.write(w, http.StatusOK, func(w io.Writer) error { return renderPage(w, state) })
}

func (s *Server) rule(w http.ResponseWriter, r *http.Request) {
	i := checks.Index(r.PathValue("name"))
	if i < 0 {
		s.gone(w, r)
		return
	}
	s.OnRequest(Rule)
	s.write(w, http.StatusOK, func(w io.Writer) error { return renderRule(w, &checks.All[i]) })
}

// test asks the DNS about the client of a ticket, unless it is too soon, and leads back to the page.
func (s *Server) test(w http.ResponseWriter, r *http.Request) {
	token, t := s.open(w, r)
	if t == nil {
		return
	}
	if s.tests.begin(token) {
		s.OnRequest(Test)
		s.ask(token, t)
	} else {
		s.OnRequest(Busy)
	}
	s.Seen.changed(t.Client)
	if r.Header.Get("X-Requested-With") == "fetch" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Location", "../"+token+"#live") // relative, since a proxy may have put us below a path
	w.WriteHeader(http.StatusSeeOther)
}

// ask judges the client of a ticket by its last greeting. It goes on when the browser leaves.
func (s *Server) ask(token string, t *Ticket) {
	var found *checks.Record
	defer func() { s.tests.end(token, found) }() // also after a panic
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	defer cancel()
	found = s.settings.Load().Asking.judge(ctx, t, s.Seen.next(t))
}

// events sends the part of the page that changes, each time that it does (HTML Living Standard, "Server-sent events").
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	token, t := s.open(w, r)
	if t == nil {
		return
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "60")
		http.Error(w, "Too many pages wait. Reload this one to see what has changed.", http.StatusServiceUnavailable)
		return
	}
	s.OnRequest(Events)
	changed, stop := s.Seen.watch(t.Client)
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx
	ends := time.NewTimer(streamTime)
	defer ends.Stop()
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	stream := http.NewResponseController(w)
	text := s.event(token, t)
	for {
		_ = stream.SetReadDeadline(time.Time{}) // nothing more is read
		_ = stream.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := w.Write(text); err != nil || stream.Flush() != nil {
			return
		}
		select {
		case <-changed:
			text = s.event(token, t)
		case <-beat.C:
			text = []byte(":\n\n")
		case <-ends.C:
			return // the browser asks again
		case <-r.Context().Done():
			return
		}
	}
}

// event is the state of a ticket as an event.
func (s *Server) event(token string, t *Ticket) []byte {
	var live, event bytes.Buffer
	if err := renderLive(&live, s.state(token, t)); err != nil {
		panic(err) // see write
	}
	for line := range bytes.Lines(live.Bytes()) {
		fmt.Fprintf(&event, "data: %s\n", bytes.TrimRight(line, "\r\n"))
	}
	return append(event.Bytes(), '\n')
}
