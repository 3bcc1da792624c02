package fleet

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
)

func line(sighting, record string) string { return record + "\t" + sighting + "\n" }

// entries are those of a stream, without the number of the process.
func entries(t *testing.T, s *Server) (list []string) {
	t.Helper()
	all, err := s.client.XRange(t.Context(), s.key("decisions", s.host), "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		_, numbers, _ := strings.Cut(fmt.Sprint(e.Values["n"]), " ")
		list = append(list, numbers+" "+fmt.Sprint(e.Values["r"]))
	}
	return list
}

// A stream has the records in their order, with their numbers, and its own bounds.
func TestDecisions(t *testing.T) {
	s := startRedis(t).connect("mx1.example.net")
	dropped := uint64(0)
	d := NewDecisions(s, 1000, func() uint64 { return dropped })
	text := line("", `{"v":1}`) + line("192.0.2.1 mail.example.org ", `{"v":2}`)
	if n, err := d.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
	dropped = 7
	_, _ = d.Write([]byte(line("", `{"v":3}`)))
	if want := []string{`1 0 {"v":1}`, `2 0 {"v":2}`, `3 7 {"v":3}`}; !slices.Equal(entries(t, s), want) {
		t.Errorf("got %q", entries(t, s))
	}
	ttl, err := s.client.TTL(t.Context(), "helo-milter:decisions:mx1.example.net").Result()
	if err != nil || ttl < 29*24*time.Hour {
		t.Errorf("it lives for %v, %v", ttl, err)
	}
	many := strings.Repeat(line("", `{"v":4}`), 5000)
	if n, err := d.Write([]byte(many)); n != len(many) || err != nil {
		t.Fatal(n, err)
	}
	if n := len(entries(t, s)); n < 1000 || n > 1300 { // a node of the stream may stay
		t.Errorf("%d entries are kept", n)
	}
}

// What the server refuses stays to be sent again: the same records with the same numbers.
func TestDecisionsRefused(t *testing.T) {
	s := startRedis(t).connect("mx1")
	d := NewDecisions(s, 1000, func() uint64 { return 0 })
	if err := s.client.Set(t.Context(), s.key("decisions", "mx1"), "not a stream", 0).Err(); err != nil {
		t.Fatal(err)
	}
	text := line("", `{"v":1}`) + line("", `{"v":2}`)
	n, err := d.Write([]byte(text))
	if n != 0 || err == nil || Trouble(err) != "wrong type" {
		t.Fatal(n, err)
	}
	if err := s.client.Del(t.Context(), s.key("decisions", "mx1")).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
	if want := []string{`1 0 {"v":1}`, `2 0 {"v":2}`}; !slices.Equal(entries(t, s), want) {
		t.Errorf("got %q", entries(t, s))
	}
}

func TestFirstBatch(t *testing.T) {
	for _, test := range []struct {
		lines string
		want  int // lines
	}{
		{"a\n", 1},
		{strings.Repeat("a\n", 500), 200},
		{strings.Repeat(strings.Repeat("a", 100<<10)+"\n", 5), 3},
		{strings.Repeat("a", 1<<20) + "\n" + "b\n", 1},
	} {
		if got := strings.Count(string(firstBatch([]byte(test.lines))), "\n"); got != test.want {
			t.Errorf("%d lines, want %d", got, test.want)
		}
	}
}

// Hosts tell what they see, and each learns what all have.
func TestCensus(t *testing.T) {
	server := startRedis(t)
	hosts := []*Decisions{
		NewDecisions(server.connect("mx1"), 1000, func() uint64 { return 0 }),
		NewDecisions(server.connect("mx2"), 1000, func() uint64 { return 0 }),
	}
	for i, sighting := range []string{
		"192.0.2.1 mail.example.org example.org", "192.0.2.2 mail.example.org example.org",
		"198.51.100.1 mail.example.org ", "2001:db8::1 mail.example.org example.net", "",
		"192.0.2.1 other.example.org example.org", "192.0.2.1 other.example.org example.org", "192.0.2.9 friend ",
	} {
		if _, err := hosts[i%2].Write([]byte(line(sighting, "{}"))); err != nil {
			t.Fatal(err)
		}
	}
	results := make(chan string, 100)
	c := NewCensus(server.connect("mx3"), func(result string) { results <- result }, func(err error) { t.Error(err) })
	c.timeout = time.Minute // of a busy machine
	defer c.Close()
	for _, test := range []struct{ client, name, want string }{
		{"192.0.2.1", "", "2 names"},
		{"192.0.2.9", "", "1 names"},
		{"192.0.2.77", "", "0 names"},
		{"192.0.2.1", "mail.example.org", "3 networks, 2 organisations, known"},
		{"192.0.2.77", "mail.example.org", "3 networks, 2 organisations"},
		{"192.0.2.9", "friend", "1 networks, 0 organisations, known"},
		{"192.0.2.9", "new.example.org", "0 networks, 0 organisations"},
	} {
		got, client := "", netip.MustParseAddr(test.client)
		if test.name == "" {
			got = fmt.Sprintf("%d names", (<-c.Client(client)).Names)
		} else {
			seen := <-c.Helo(client, test.name)
			got = fmt.Sprintf("%d networks, %d organisations", seen.Networks, seen.Organisations)
			if !seen.Since.IsZero() {
				got += ", known"
			}
			if age := time.Since(seen.Since); !seen.Since.IsZero() && (age < 0 || age > 5*time.Minute) {
				t.Errorf("since %v", seen.Since)
			}
		}
		if got != test.want {
			t.Errorf("%s %s: %s, want %s", test.client, test.name, got, test.want)
		}
		if r := <-results; r != Answered {
			t.Error(r)
		}
	}
}

// The sets are bounded and expire.
func TestCensusIsBounded(t *testing.T) {
	s := startRedis(t).connect("mx1")
	d := NewDecisions(s, 1000, func() uint64 { return 0 })
	var b strings.Builder
	for i := range 1000 {
		b.WriteString(line(fmt.Sprintf("10.%d.%d.1 same.example.org org%d.example", i/250, i%250, i), "{}"))
		b.WriteString(line(fmt.Sprintf("192.0.2.1 name%d.example.org ", i), "{}"))
	}
	if _, err := d.Write([]byte(b.String())); err != nil {
		t.Fatal(err)
	}
	lives := map[string]time.Duration{"helo-milter:helo:same.example.org": seenFor, "helo-milter:client:192.0.2.1": knownFor}
	for key := range maps.Keys(lives) {
		if n := s.client.ZCard(t.Context(), key).Val(); n != maxMembers {
			t.Errorf("%s has %d members", key, n)
		}
		if ttl := s.client.TTL(t.Context(), key).Val(); ttl <= lives[key]-time.Hour || ttl > lives[key] {
			t.Errorf("%s lives for %v", key, ttl)
		}
	}
}

// A server that does not answer costs one batch its time, and then nobody any.
func TestCensusPauses(t *testing.T) {
	server := startRedis(t)
	results := make(chan string, 100)
	c := NewCensus(server.connect("mx1"), func(result string) { results <- result }, nil)
	defer c.Close()
	server.Pause()
	defer server.Resume()
	client := netip.MustParseAddr("192.0.2.1")
	if _, ok := <-c.Client(client); ok {
		t.Fatal("a server that stands still has answered")
	}
	if r := <-results; r != NoAnswer {
		t.Fatal(r)
	}
	for range 10 {
		if _, ok := <-c.Client(client); ok {
			t.Fatal("answered")
		}
		if r := <-results; r != NotAsked && r != NoAnswer { // the pause is over on a slow machine
			t.Fatal(r)
		}
	}
	server.Resume()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, ok := <-c.Client(client); ok {
			return
		}
		if <-results; time.Now().After(deadline) {
			t.Fatal("never answered again")
		}
	}
}

// A line of the spool is a sighting and a record, and the sighting is that of the decision.
func TestAppendSighting(t *testing.T) {
	f := &checks.Facts{Client: netip.MustParseAddr("192.0.2.1"), Greetings: []checks.Greeting{{Helo: checks.ParseHelo("Mail.Example.org")}}}
	f.PTR = checks.Answer[checks.Host]{Status: checks.Found, Values: []checks.Host{{
		Name: "a.b.example.net", Addrs: checks.Answer[netip.Addr]{Status: checks.Found, Values: []netip.Addr{f.Client}},
	}}}
	d := &checks.Decision{Facts: f}
	if got := string(AppendSighting(nil, d)); got != "\t192.0.2.1 mail.example.org example.net" {
		t.Errorf("%q", got)
	}
	for _, helo := range []string{"", "[192.0.2.1]", "a b\tc", "192.0.2.1"} {
		f.Greetings[0].Helo = checks.ParseHelo(helo)
		if got := string(AppendSighting(nil, d)); got != "\t" {
			t.Errorf("HELO %q: %q", helo, got)
		}
	}
	f.Greetings[0].Helo = checks.ParseHelo("mail.example.org")
	d.Verdict.Exempt = "authenticated"
	if got := string(AppendSighting(nil, d)); got != "\t" {
		t.Errorf("exempt: %q", got)
	}
}

// The kinds of errors, as the server says them.
func TestTrouble(t *testing.T) {
	server := startRedis(t)
	s := server.connect("mx1")
	d := NewDecisions(s, 1000, func() uint64 { return 0 })
	write := func() error {
		_, err := d.Write([]byte(line("", "{}")))
		return err
	}
	do := func(args ...any) {
		t.Helper()
		if err := s.client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		do   []any
		want string
	}{
		{[]any{"CONFIG", "SET", "maxmemory", "1"}, "out of memory"},
		{[]any{"CONFIG", "SET", "maxmemory", "0"}, ""},
		{[]any{"ACL", "SETUSER", "default", "-xadd"}, "not allowed"},
		{[]any{"ACL", "SETUSER", "default", "+xadd"}, ""},
		{[]any{"REPLICAOF", "192.0.2.1", "6379"}, "not ready"},
		{[]any{"REPLICAOF", "NO", "ONE"}, ""},
	} {
		do(test.do...)
		if err := write(); (err == nil) != (test.want == "") || err != nil && Trouble(err) != test.want {
			t.Errorf("%v: %v, want %q", test.do, err, test.want)
		}
	}
}
