package help

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"helo-milter/checks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// refused is a session of a client without a PTR record that says friend.
func refused(id string, at time.Time) *checks.Decision {
	f := &checks.Facts{
		Client: netip.MustParseAddr("203.0.113.9"), PTR: checks.Answer[checks.Host]{Status: checks.Missing},
		Greetings: []checks.Greeting{{Helo: checks.ParseHelo("friend")}},
	}
	verdict := checks.NewPolicy(checks.Strict).Decide(checks.Evaluate(f, nil, ""))
	return &checks.Decision{
		ID: id, Facts: f, Verdict: verdict, Time: at, MailFrom: "secret@example.org", RcptTo: []string{"secret@example.net"},
	}
}

// fixture is a server on loopback, whose judge asks no DNS, with a link to the page of a refusal.
type fixture struct {
	*Server
	url, link string
	mu        sync.Mutex
	requests  map[string]int
	panics    int
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{Server: NewServer(), requests: map[string]int{}}
	f.Log = slog.New(slog.DiscardHandler)
	f.OnRequest = func(what string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.requests[what]++
	}
	f.OnPanic = func(any, []byte) { f.panics++ }
	judge := &checks.Judge{Policy: checks.NewPolicy(checks.Strict), Exempt: &checks.Exemptions{}}
	keys := NewKeys()
	f.Configure(&Settings{Keys: keys, Valid: time.Hour, Asking: &Asking{Judge: judge}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := f.Serve(ln)
	t.Cleanup(func() { _ = server.Close() })
	f.url = "http://" + ln.Addr().String()
	d := refused("first", time.Now().Add(-time.Minute))
	f.link = keys.Link(f.url+"/r/{id}")(d.Time, d.Facts, &d.Verdict)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return f
}

func (f *fixture) request(t *testing.T, method, url string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body), answer.Header
}

// All that there is to ask for, and what is answered.
func TestRoutes(t *testing.T) {
	f := start(t)
	f.Seen.Decided(refused("ptpybn6iry3tg25mnevlf2hvae", time.Now()))
	for _, tt := range []struct {
		method, url string
		code        int
		has         string
	}{
		{"GET", f.link, 200, "friend"},
		{"HEAD", f.link, 200, ""},
		{"GET", f.url + "/r/ptpybn6iry3tg25mnevlf2hvae", 200, "friend"},
		{"GET", f.url + "/r/ptpybn6iry3tg25mnevlf2hvaf", 404, "<h1"},
		{"GET", f.link[:len(f.link)-1], 404, "<h1"},
		{"GET", f.link + "a", 404, "<h1"},
		{"GET", f.link + "/events/x", 404, "<h1"},
		{"POST", f.link, 404, "<h1"},
		{"POST", f.url + "/r/x/test", 404, "<h1"},
		{"GET", f.url + "/r/x/events", 404, "<h1"},
		{"GET", f.url + "/rule/helo-bare-ip", 200, "helo-bare-ip"},
		{"GET", f.url + "/rule/x", 404, "<h1"},
		{"GET", f.url + "/", 200, "helo-bare-ip"},
		{"GET", f.url + "/style.css", 200, "{"},
		{"GET", f.url + "/script.js", 200, "EventSource"},
		{"GET", f.url + "/robots.txt", 200, "Disallow: /"},
	} {
		code, body, header := f.request(t, tt.method, tt.url)
		if code != tt.code || !strings.Contains(body, tt.has) || strings.Contains(body, "secret") {
			t.Errorf("%s %s: %d, want %d\n%.200s", tt.method, tt.url, code, tt.code, body)
		}
		if header.Get("Content-Security-Policy") != policy || header.Get("Referrer-Policy") == "" {
			t.Errorf("%s %s: %v", tt.method, tt.url, header)
		}
	}
	_, cut, _ := f.request(t, "GET", f.link[:len(f.link)-1])
	f.Configure(&Settings{Keys: NewKeys(), Valid: time.Hour, Asking: f.settings.Load().Asking})
	if _, foreign, _ := f.request(t, "GET", f.link); foreign != cut {
		t.Error("a foreign link has a page of its own")
	}
	if f.requests[Gone] == 0 || f.requests[Page] != 3 || f.panics > 0 {
		t.Errorf("%v, %d panics", f.requests, f.panics)
	}
}

// A test without a script leads back to the page, which has its result. The next one has to wait.
func TestRetest(t *testing.T) {
	f := start(t)
	for range 2 {
		code, _, header := f.request(t, "POST", f.link+"/test")
		token := f.link[strings.LastIndexByte(f.link, '/')+1:]
		if code != http.StatusSeeOther || header.Get("Location") != "../"+token+"#live" {
			t.Fatalf("%d, %v", code, header)
		}
	}
	if _, body, _ := f.request(t, "GET", f.link); !strings.Contains(body, "Asked at") || !strings.Contains(body, "Test again in") {
		t.Errorf("%s", body)
	}
	if f.requests[Test] != 1 || f.requests[Busy] != 1 {
		t.Errorf("%v", f.requests)
	}
}

// However a link is spelled, it is one ticket, which is tested once. Only the case of its letters may differ.
func TestRetestSpelling(t *testing.T) {
	f := start(t)
	at := strings.LastIndexByte(f.link, '/') + 1
	before, token := f.link[:at], f.link[at:]
	spellings := []string{
		token, strings.ToUpper(token), strings.ToUpper(token[:9]) + token[9:], token[:9] + "\n" + token[9:], token + "\r\n",
		strings.ReplaceAll(token, "s", "\u017f"), strings.ReplaceAll(token, "k", "\u212a"), // letters of Unicode
	}
	for last := range strings.SplitSeq("abcdefghijklmnopqrstuvwxyz234567", "") { // has bits that are left over
		spellings = append(spellings, token[:len(token)-1]+last)
	}
	for _, spelling := range spellings {
		want := http.StatusNotFound
		if strings.ToLower(spelling) == token {
			want = http.StatusSeeOther
		}
		code, _, header := f.request(t, "POST", before+url.PathEscape(spelling)+"/test")
		if code != want || code == http.StatusSeeOther && header.Get("Location") != "../"+token+"#live" {
			t.Errorf("%q: %d, %v, want %d", spelling, code, header, want)
		}
	}
	if f.requests[Test] != 1 || f.requests[Busy] < 3 {
		t.Errorf("%v", f.requests)
	}
}

// A ticket is tested once in ten seconds, two a second in all, and four at a time.
func TestRetestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := newTests()
		begins := func(token string) bool {
			ok := tests.begin(token)
			if ok {
				tests.end(token, &checks.Record{})
			}
			return ok
		}
		if !begins("a") || begins("a") {
			t.Error("a ticket is tested twice")
		}
		state := &State{Token: "a"}
		if tests.state(state); state.Test == nil || state.Wait <= 9*time.Second || state.Wait > perTicket || state.Busy {
			t.Errorf("%+v", state)
		}
		time.Sleep(perTicket)
		state = &State{Token: "a"}
		if tests.state(state); state.Wait != 0 || !begins("a") {
			t.Errorf("after %v: %+v", perTicket, state)
		}
		time.Sleep(maxAge + time.Second)
		state = &State{Token: "a"}
		if tests.state(state); state.Test != nil {
			t.Errorf("after %v: %+v", maxAge, state)
		}
		begun := 0
		for i := range 40 { // in ten seconds
			if begins(fmt.Sprint("b", i)) {
				begun++
			}
			time.Sleep(time.Second / 4)
		}
		if begun < 20 || begun > 24 {
			t.Errorf("%d tests in ten seconds", begun)
		}
		time.Sleep(time.Minute)
		for i := range atOnce {
			if !tests.begin(fmt.Sprint("c", i)) {
				t.Errorf("test %d of %d", i, atOnce)
			}
		}
		time.Sleep(time.Minute)
		if tests.begin("d") {
			t.Error("five at once")
		}
		state = &State{Token: "d"}
		if tests.state(state); !state.Busy || state.Wait != 0 {
			t.Errorf("%+v", state)
		}
	})
}

// A page that waits hears of the client's next session and of a test, as they come, and nothing of other clients.
func TestEvents(t *testing.T) {
	f := start(t)
	request, err := http.NewRequestWithContext(t.Context(), "GET", f.link+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	event := func() string {
		var b strings.Builder
		for lines.Scan() && lines.Text() != "" {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				t.Fatalf("%q", lines.Text())
			}
			b.WriteString(data + "\n")
		}
		return b.String()
	}
	if first := event(); !strings.Contains(first, "Not tested yet") {
		t.Errorf("%s", first)
	}
	d := refused("second", time.Now().Add(-time.Second)) // before the test, by the millisecond
	d.Facts.Greetings[0].Helo = checks.ParseHelo("mail.example.org")
	f.Seen.Decided(d)
	if next := event(); !strings.Contains(next, "mail.example.org") || strings.Contains(next, "secret") {
		t.Errorf("%s", next)
	}
	if code, _, _ := f.request(t, "POST", f.link+"/test"); code != http.StatusSeeOther {
		t.Error(code)
	}
	if tested := event(); !strings.Contains(tested, "Asked at") {
		t.Errorf("%s", tested)
	}
}

// Beyond the places for pages that wait, the others are told to reload.
func TestEventsFull(t *testing.T) {
	f := start(t)
	for range maxStreams {
		f.streams <- struct{}{}
	}
	if code, _, header := f.request(t, "GET", f.link+"/events"); code != 503 || header.Get("Retry-After") == "" {
		t.Errorf("%d, %v", code, header)
	}
}

// A panic costs one request.
func TestPanicInRequest(t *testing.T) {
	f := start(t)
	f.Configure(&Settings{Keys: f.settings.Load().Keys, Valid: time.Hour}) // nobody to ask
	if code, _, _ := f.request(t, "POST", f.link+"/test"); code != 500 || f.panics != 1 || f.tests.running != 0 {
		t.Errorf("%d, %d panics, %d run", code, f.panics, f.tests.running)
	}
}

// What is kept of sessions is bounded, and of those that were not judged nothing is.
func TestSeen(t *testing.T) {
	s := NewSeen()
	now := time.Now()
	for i := range maxRecent + 10 {
		d := refused(fmt.Sprint("s", i), now)
		d.Facts.Client = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		s.Decided(d)
	}
	if s.recent.Len() != maxRecent || len(s.last) != maxRecent || s.session("s0") != nil || s.session("s4009") == nil {
		t.Errorf("%d, %d", s.recent.Len(), len(s.last))
	}
	for _, exempt := range []string{"private", "authenticated"} {
		d := refused("x"+exempt, now)
		d.Verdict.Exempt = exempt
		if s.Decided(d); s.session(d.ID) != nil {
			t.Error(exempt)
		}
	}
	d := refused("large", now)
	d.Facts.Greetings[0].A.Values = make([]netip.Addr, 4000)
	if s.Decided(d); s.session(d.ID) != nil {
		t.Error("a client fills memory with its address records")
	}
	ticket := &Ticket{Client: netip.MustParseAddr("203.0.113.9"), Time: now.Add(-time.Hour)}
	if s.next(ticket) != nil {
		t.Error("a client that was not here was seen")
	}
	s.Decided(refused("y", now))
	if r := s.next(ticket); r == nil || r.MailFrom != "" || len(r.RcptTo) > 0 {
		t.Errorf("%v", r)
	}
	if later := (&Ticket{Client: ticket.Client, Time: now.Add(time.Second)}); s.next(later) != nil {
		t.Error("the session that was refused is not the next one")
	}
}

// One peer has its share of the connections; a proxy on this host has all.
func TestPeers(t *testing.T) {
	s := &shared{peers: map[netip.Addr]int{}}
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	if networkOf(a) != networkOf(b) || networkOf(netip.MustParseAddr("::ffff:192.0.2.1")) != netip.MustParseAddr("192.0.2.1") {
		t.Error("which peers are one")
	}
	for i := range maxPerPeer + 1 {
		if s.enter(a) != (i < maxPerPeer) {
			t.Errorf("connection %d", i)
		}
	}
	for range maxPerPeer {
		s.leave(a)
	}
	if len(s.peers) > 0 {
		t.Errorf("%v", s.peers)
	}
}

// A key file is made for its owner, and is read again; the first key of several seals, and all open.
func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "help.key")
	made, err := MakeKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	again, err := MakeKeys(path)
	if err != nil || again.keys[0] != made.keys[0] {
		t.Errorf("%v", err)
	}
	d := refused("a", time.Now())
	ticket := NewTicket(d.Time, d.Facts, &d.Verdict)
	token := made.Seal(ticket)
	if token != again.Seal(ticket) {
		t.Error("the same ticket has two tokens")
	}
	other := NewKeys()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "%x\n%s", other.keys[0], text), 0o600); err != nil {
		t.Fatal(err)
	}
	both, err := ReadKeys(path)
	if err != nil || both.Seal(ticket) != other.Seal(ticket) {
		t.Fatalf("%v", err)
	}
	now := ticket.Time.Add(time.Hour)
	for _, tt := range []struct {
		name  string
		keys  *Keys
		token string
		valid time.Duration
		ok    bool
	}{
		{"the same", made, token, time.Hour, true},
		{"upper case", made, strings.ToUpper(token), time.Hour, true},
		{"an old key", both, token, time.Hour, true},
		{"another key", other, token, time.Hour, false},
		{"expired", made, token, time.Hour - time.Second, false},
		{"cut", made, token[:len(token)-1], time.Hour, false},
		{"longer", made, token + "a", time.Hour, false},
		{"forged", made, "a" + token[1:], time.Hour, token[0] == 'a'},
		{"empty", made, "", time.Hour, false},
		{"long", made, strings.Repeat("a", 1<<20), time.Hour, false},
	} {
		if got, err := tt.keys.Open(tt.token, now, tt.valid); (err == nil) != tt.ok || tt.ok && got.Helo != "friend" {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	for text, wrong := range map[string]string{"x\n": ":1: ", "\n# a\nabcd\n": ":3: ", "# nothing\n": "no key"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := MakeKeys(path); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// No two rules are the same in a ticket, and the longest link fits a line of a reply.
func TestLongestTicket(t *testing.T) {
	ids := map[uint16]string{}
	for i := range checks.All {
		name := checks.All[i].Name
		if other := ids[ruleID(name)]; other != "" {
			t.Errorf("%s and %s", name, other)
		}
		ids[ruleID(name)] = name
	}
	long := Said{Status: checks.Found, Value: strings.Repeat("x", 255), More: 15}
	ticket := &Ticket{
		Client: netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), Time: time.Now(), PTR: long, Addr: long,
		Helo: strings.Repeat("h", 300),
	}
	for i := range 10 {
		ticket.Rules = append(ticket.Rules, checks.All[i].Name)
	}
	keys := NewKeys()
	token := keys.Seal(ticket)
	if most := 400 - 120 + len("{id}"); len(token) > most || len(token) > maxSealed {
		t.Errorf("%d bytes, at most %d", len(token), most)
	}
	if got, err := keys.Open(token, time.Now(), time.Hour); err != nil || len(got.Rules) != maxRules || len(got.Helo) != maxHelo {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whatever a link holds, nothing breaks; and what was sealed opens as it was.
func FuzzTicket(f *testing.F) {
	d := refused("a", time.Unix(1_800_000_000, 0))
	f.Add(NewTicket(d.Time, d.Facts, &d.Verdict).append(nil))
	f.Add([]byte{version, 4, 1, 2, 3, 4})
	f.Add([]byte("\xff"))
	keys := NewKeys()
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = keys.Open(string(b), now, time.Hour)
		ticket, err := parse(b)
		if err != nil {
			return
		}
		if ticket.Time.After(now) {
			ticket.Time = now
		}
		opened, err := keys.Open(keys.Seal(ticket), ticket.Time, time.Hour)
		if err != nil || opened.Client != ticket.Client || !opened.Time.Equal(ticket.Time) {
			t.Errorf("%+v became %+v: %v", ticket, opened, err)
		}
		if !strings.HasPrefix(ticket.Helo, opened.Helo) || len(opened.Rules) > maxRules {
			t.Errorf("%+v became %+v", ticket, opened)
		}
	})
}
