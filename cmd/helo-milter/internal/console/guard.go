package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"
)

// The limits. MaxConnections are open files that the process needs for the listener.
const (
	MaxConnections = 200
	maxStreams     = 50 // pages that show what changes
	maxQueries     = 2  // of what is kept, at a time
	maxBody        = 1 << 20
	queryTime      = 30 * time.Second
	queryWait      = 5 * time.Second // for the place of another
	writeTime      = 10 * time.Second
)

// limits have a value for each place that is taken.
type limits struct{ streams, queries chan struct{} }

func newLimits() limits {
	return limits{make(chan struct{}, maxStreams), make(chan struct{}, maxQueries)}
}

// policy allows nothing but our own style sheet and script (CSP Level 3).
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard answers a request that may be made, and survives a panic in it.
func (c *Console) guard(next http.Handler) http.Handler {
	// A page of another site must not begin a trial: browsers say where a request comes from.
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == http.ErrAbortHandler { // as net/http compares it
				panic(p)
			}
			if p != nil {
				c.panicked(p)
				http.Error(w, "An internal error. Please try again later.", http.StatusInternalServerError)
			}
		}()
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !c.mayAsk(w, r) {
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// mayAsk reports whether a request has the password, or needs none; else it is answered.
func (c *Console) mayAsk(w http.ResponseWriter, r *http.Request) bool {
	token := c.settings.Load().Token
	if token == "" {
		// Without a password, only a browser of this host may ask, or one at the end of a tunnel, and not for a page of
		// another site whose name leads here ("DNS rebinding").
		if isOwnHost(r.Host) || ofUnix(r) {
			return true
		}
		http.Error(w, fmt.Sprintf("The console has no password, and answers only by address or as localhost, not as %q. "+
			"Set http.token_file for other names.", r.Host), http.StatusForbidden)
		return false
	}
	_, said, ok := r.BasicAuth()
	if bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		said, ok = bearer, true
	}
	if ok && same(said, token) {
		return true
	}
	if ok {
		c.OnWrongPassword(r.RemoteAddr)
		time.Sleep(wrongTime)
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="helo-milter console: any user, and the password in http.token_file"`)
	http.Error(w, "The password of the console is the first line of http.token_file; any user will do.",
		http.StatusUnauthorized)
	return false
}

// wrongTime is how long a wrong password takes.
const wrongTime = 500 * time.Millisecond

// same compares two texts in a time that says nothing of them.
func same(a, b string) bool {
	hashA, hashB := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(hashA[:], hashB[:]) == 1
}

// ofUnix reports whether a request came over a unix socket: from a program of this host, such as a web server, and never
// from a browser.
func ofUnix(r *http.Request) bool {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && at.Network() == "unix"
}

// isOwnHost reports whether the host of a request is an address or localhost.
func isOwnHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost" || host == ""
}

// minToken is how long a password is, in bytes.
const minToken = 16

// ReadToken reads the password in a file: its first line, of at least 16 printable characters of ASCII without blanks.
func ReadToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%w (make one: head -c 24 /dev/urandom | base64 > %s)", err, file)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimRight(line, "\r")
	if len(line) < minToken {
		return "", fmt.Errorf("the first line of %s is shorter than %d characters", file, minToken)
	}
	for i := range len(line) {
		if line[i] <= ' ' || line[i] > '~' {
			return "", errors.New("the first line of " + file + " has other characters than printable ASCII without blanks")
		}
	}
	return line, nil
}

// query takes a place for a query of what is kept, which has so long. The error says that there is none.
func (c *Console) query(r *http.Request, limit time.Duration) (ctx context.Context, leave func(), err error) {
	wait := time.NewTimer(queryWait)
	defer wait.Stop()
	select {
	case c.limits.queries <- struct{}{}:
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		return ctx, func() { cancel(); <-c.limits.queries }, nil
	case <-wait.C:
	case <-r.Context().Done():
	}
	return nil, nil, &wrong{http.StatusServiceUnavailable, "Other queries are running. Please try again in some seconds."}
}
