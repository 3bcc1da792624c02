package console

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/lookups"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a console, and the daemon around it. Tests run in a bubble of synctest, so that nothing waits.
type world struct {
	*Console
	t       *testing.T
	cfg     *config.Config
	log     string // the decision log, if the configuration has one
	shared  Fleet  // or nil
	panics  int
	written int
	random  *rand.Rand
	zone    checkstest.Zone
}

const logged = "with a decision log\n" // a comment in the configuration

// newWorld opens a console. A configuration with the line logged has a decision log, which is not there yet.
func newWorld(t *testing.T, toml string) *world {
	t.Helper()
	w := &world{t: t, Console: New(), random: rand.New(rand.NewPCG(1, 2)), zone: checkstest.Parse(t, zone)}
	w.log = filepath.Join(t.TempDir(), "decisions.jsonl")
	w.cfg = w.parse(toml)
	w.OnWrongPassword, w.OnPanic = func(string) {}, func(value any, stack []byte) {
		if w.panics--; w.panics < 0 {
			t.Errorf("panic: %v\n%s", value, stack)
		}
	}
	t.Cleanup(w.Close)
	return w
}

func parse(t *testing.T, toml string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test.toml", []byte(toml))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// parse reads a configuration, which may have the line logged.
func (w *world) parse(toml string) *config.Config {
	w.t.Helper()
	return parse(w.t, strings.ReplaceAll(toml, logged, fmt.Sprintf("decision_log = %q\n", w.log)))
}

// open puts the configuration in use.
func (w *world) open() *world { return w.use(w.cfg, "") }

func (w *world) use(cfg *config.Config, token string) *world {
	w.cfg = cfg
	w.Use(&Settings{
		Config: cfg, Token: token, Servers: func() []string { return []string{"192.0.2.53:53"} },
		Lookups: lookups.New().Snapshot, Dropped: func() uint64 { return 0 }, Fleet: w.shared,
	})
	return w
}

const zone = `
203.0.113.1        PTR  mail1.example.org.
mail1.example.org  A    203.0.113.1
203.0.113.2        PTR  mail2.example.net.
mail2.example.net  A    203.0.113.2
203.0.113.3        PTR  dyn-203-0-113-3.example.com.
dyn-203-0-113-3.example.com A 203.0.113.3
203.0.113.4        PTR  forged.example.org.
203.0.113.5        TXT  "dnstest" "servfail"
2001:db8::9        PTR  mail9.example.org.
mail9.example.org  AAAA 2001:db8::9
broken.example.org TXT  "dnstest" "servfail"
`

var (
	clients = []string{
		"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5", "203.0.113.6",
		"2001:db8::9",
	}
	helos = []string{
		"mail1.example.org", "mail2.example.net", "MAIL9.example.org", "localhost", "friend", "203.0.113.3", "[203.0.113.4]",
		"broken.example.org", "a b", "\u212aelvin.example.org", "mx.example.net",
	}
	domains = []string{"example.net", "Example.NET", "example.com"}
)

// record decides about a random client.
func (w *world) record(at time.Time) *checks.Record {
	pick := func(list []string) string { return list[w.random.IntN(len(list))] }
	return w.decide(pick(clients), pick(helos), "reader@"+pick(domains), at)
}

func (w *world) decide(client, helo, to string, at time.Time) *checks.Record {
	w.written++
	dns := &checks.DNS{Resolver: w.zone, Timeout: time.Second}
	s := w.cfg.Judge.Open(context.Background(), dns, netip.MustParseAddr(client), w.cfg.Judge.Site)
	defer s.Close()
	s.Greet(checks.ParseHelo(helo))
	s.Mail(at)
	s.Rcpts([]string{to})
	d := s.Decision()
	d.ID, d.MTA = fmt.Sprintf("id%024d", w.written), "mx.example.net"
	d.QueueID, d.MailFrom, d.RcptTo = fmt.Sprintf("4Q%05d", w.written), "sender@example.org", []string{to}
	d.Took = time.Duration(w.written) * time.Millisecond
	return d.Record(false)
}

// records are as many decisions, at random times between two times.
func (w *world) records(n int, from, to time.Time) (list []*checks.Record) {
	for range n {
		list = append(list, w.record(from.Add(time.Duration(w.random.Int64N(int64(to.Sub(from)))))))
	}
	return list
}

func lines(list []*checks.Record) []byte {
	var b []byte
	for _, r := range list {
		b = append(r.AppendJSON(b), '\n')
	}
	return b
}

// decided writes decisions as the daemon does: to the console.
func (w *world) decided(list ...*checks.Record) {
	w.t.Helper()
	if _, err := w.Write(lines(list)); err != nil {
		w.t.Error(err)
	}
}

// keep writes decisions to the end of a file beside the decision log: "" is the log itself.
func (w *world) keep(ending string, list ...*checks.Record) {
	w.t.Helper()
	file, err := os.OpenFile(w.log+ending, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(lines(list)); err != nil {
		w.t.Fatal(err)
	}
}

// request asks for a page below /console/.
func request(method, path string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, "/console/"+path, body)
	r.Host = "localhost:9100"
	return r
}

func (w *world) ask(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	return answer
}

func (w *world) get(path string) *httptest.ResponseRecorder { return w.ask(request("GET", path, nil)) }

// post sends a form as the page does.
func (w *world) post(path string, form url.Values) *httptest.ResponseRecorder {
	r := request("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.ask(r)
}

// listener is a browser that reads a stream until the end.
type listener struct {
	mu     sync.Mutex
	header http.Header
	status int
	text   bytes.Buffer
	stop   context.CancelFunc
	ended  chan struct{}
}

func (l *listener) Header() http.Header { return l.header }

func (l *listener) WriteHeader(status int) { l.status = status }

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *listener) Flush() {}

// took returns what has come since the last call.
func (l *listener) took() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	l.text.Reset()
	return text
}

// close leaves, and returns what has come since the last call.
func (l *listener) close() string {
	l.stop()
	<-l.ended
	return l.took()
}

// listen opens a stream of events. after is its Last-Event-ID.
func (w *world) listen(path, after string) *listener {
	l := &listener{header: http.Header{}, status: http.StatusOK, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	r := request("GET", path, nil).WithContext(ctx)
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	go func() {
		defer close(l.ended)
		w.ServeHTTP(l, r)
	}()
	return l
}
