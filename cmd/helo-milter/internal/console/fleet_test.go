package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/evidence"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/fleet/fleettest"
	"helo-milter/cmd/helo-milter/internal/past"
)

// fleetWorld is a console of mx1 in a fleet, and its other hosts.
type fleetWorld struct {
	*world
	redis *fleettest.Redis
	toml  string
	hosts map[string]*sharing
	fleet Fleet
}

// sharing is a host that shares its decisions.
type sharing struct {
	server *fleet.Server
	stream *fleet.Decisions
}

// connected is a server as the console takes it.
type connected struct{ *fleet.Server }

func (c connected) Open(ctx context.Context, host string, from time.Time) (Stream, error) {
	s, err := c.Server.Open(ctx, host, from)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c connected) OpenEnd(ctx context.Context, host string, n int) (Stream, error) {
	s, err := c.Server.OpenEnd(ctx, host, n)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// newFleet starts a server, and a console that looks often.
func newFleet(t *testing.T) *fleetWorld {
	t.Helper()
	w := &fleetWorld{redis: fleettest.Start(t), hosts: map[string]*sharing{}}
	w.toml = "[fleet]\nredis = [\"unix:" + w.redis.Socket + "\"]\n"
	w.world = newWorld(t, w.toml)
	w.pace = pace{10 * time.Millisecond, 15 * time.Millisecond}
	w.fleet = connected{w.connect("mx1")}
	t.Cleanup(w.redis.Resume)
	return w
}

func (w *fleetWorld) connect(host string) *fleet.Server {
	w.t.Helper()
	server, err := fleet.Connect(parse(w.t, w.toml+fmt.Sprintf("host = %q\n", host)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.Close(); _ = server.Close() })
	return server
}

// host is one of the fleet, that keeps about so many records.
func (w *fleetWorld) host(name string, records int) *sharing {
	w.t.Helper()
	if w.hosts[name] == nil {
		one := &sharing{server: w.connect(name)}
		present := make(chan error, 1)
		presence := fleet.NewPresence(one.server, func(err error) {
			select {
			case present <- err:
			default:
			}
		})
		if err := <-present; err != nil {
			w.t.Fatal(err)
		}
		presence.Close()
		one.stream = fleet.NewDecisions(one.server, records, func() uint64 { return 0 })
		w.hosts[name] = one
	}
	return w.hosts[name]
}

// shares has a host share decisions.
func (w *fleetWorld) shares(host string, list ...*checks.Record) {
	w.t.Helper()
	var text []byte
	for _, r := range list {
		text = append(r.AppendJSON(text), "\t\n"...)
	}
	if _, err := w.host(host, 100_000).stream.Write(text); err != nil {
		w.t.Fatal(err)
	}
}

// open puts the configuration in use.
func (w *fleetWorld) open() { w.useFleet(w.cfg) }

func (w *fleetWorld) useFleet(cfg *config.Config) {
	w.cfg = cfg
	w.shared = w.fleet
	w.use(cfg, "")
}

// within fails unless something comes true.
func within(t *testing.T, story string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", story)
		}
	}
}

// reported is the report over "fleet:".
func (w *fleetWorld) reported(from time.Time) (text string, lacks []string) {
	w.t.Helper()
	tally, seen := evidence.New(w.cfg.Judge, w.cfg.Actions), past.NewSeen()
	names, err := w.fleet.Hosts(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range names {
		s, err := w.fleet.Open(w.t.Context(), name, from)
		if err != nil {
			w.t.Fatal(err)
		}
		for r, err := range past.Each(name, s) {
			if err == nil && !r.Time.Before(from) && !seen.Again(r) {
				tally.Add(r)
			} else if broken := (*past.Broken)(nil); err != nil && !errors.As(err, &broken) {
				w.t.Fatal(err)
			}
		}
		if lack := s.Lacks(); lack != "" {
			lacks = append(lacks, "fleet:"+name+": "+lack)
		}
	}
	return reportText(w.t, tally.Report(0, 0)), lacks
}

// showsFleet fails unless the evidence is, and stays, that of so many records, and what a report over "fleet:" says.
func (w *fleetWorld) showsFleet(story string, records int) {
	w.t.Helper()
	within(w.t, fmt.Sprintf("%s: %d records", story, records), func() bool {
		w.mu.Lock()
		next := w.next
		w.mu.Unlock()
		s := w.evidence().standing()
		return next == nil && !s.Reading && s.Records >= records
	})
	time.Sleep(5 * w.pace.evidence)
	if n := w.evidence().standing().Records; n != records {
		w.t.Fatalf("%s: %d records, want %d", story, n, records)
	}
	g := w.evidence()
	g.mu.Lock()
	report := *g.tally.Report(0, 0)
	g.mu.Unlock()
	report.Sections = slices.Clone(report.Sections)
	want, lacks := w.reported(g.began.Add(-keptTime))
	if got := reportText(w.t, &report); got != want {
		w.t.Errorf("%s: %s", story, difference(got, want))
	}
	if got := g.standing().Lacks; !slices.Equal(got, lacks) {
		w.t.Errorf("%s: it says that %q is missing, and the report %q", story, got, lacks)
	}
}

// The evidence is what a report over "fleet:" says, however what hosts have shared before, what they share while it is
// read, and later, and a change of the configuration meanwhile follow each other; also after a new start.
func TestFleetEvidence(t *testing.T) {
	for seed := range 4 {
		w := newFleet(t)
		now := time.Now()
		live := map[string][]*checks.Record{}
		count := 0
		for _, host := range []string{"mx1", "mx2", "mx3"} {
			past := w.records(120, now.Add(-29*day), now)
			old := w.records(5, now.Add(-45*day), now.Add(-31*day))
			w.shares(host, append(old, past...)...)
			live[host] = w.records(60, now, now.Add(time.Second))
			count += len(past) + len(live[host])
		}
		more := w.records(20, now, now.Add(time.Second)) // of a host that comes later
		if seed > 0 {
			w.open()
		}
		for i := range 20 {
			switch {
			case i == 5*seed:
				w.useFleet(w.parse(w.toml + fmt.Sprintf("[rules]\nhelo-not-fqdn = %q\n", []string{"mark", "reject"}[seed%2])))
			case i == 10 && seed == 3:
				w.fleet = connected{w.connect("mx1")} // with another password
				w.useFleet(w.cfg)
			}
			for host, list := range live {
				if host == "mx1" {
					w.decided(list[3*i : 3*i+3]...) // and by its stream
				}
				w.shares(host, list[3*i:3*i+3]...)
			}
			if i >= 10 {
				w.shares("mx4", more[2*i-20:2*i-18]...)
			}
		}
		w.showsFleet(fmt.Sprint("seed ", seed), count+len(more))

		again := &fleetWorld{world: newWorld(t, w.toml), redis: w.redis, toml: w.toml, fleet: w.fleet}
		again.pace = w.pace
		again.useFleet(w.cfg)
		again.showsFleet("a new start", count+len(more))
		again.Close()
		w.Close()
	}
}

// rowsOf are the ids of rows, in their order, each with its host.
func rowsOf(text string) (list []string) {
	row := regexp.MustCompile(`(?s)<tr id="d-(id\d+).*?data-label="Host"><span>([^<]*)<`)
	for _, found := range row.FindAllStringSubmatch(text, -1) {
		list = append(list, found[1]+" "+found[2])
	}
	return list
}

func rowText(host string, r *checks.Record) string { return r.ID + " " + host }

// Each decision is one row of the first page, with its host: those of other hosts, too.
func TestFleetRows(t *testing.T) {
	w := newFleet(t)
	now := time.Now()
	before := w.records(6, now.Add(-time.Hour), now)
	slices.SortFunc(before, func(a, b *checks.Record) int { return b.Time.Compare(a.Time) })
	var want []string
	for i, r := range before {
		host := []string{"mx1", "mx2"}[i%2]
		w.shares(host, r)
		want = append(want, rowText(host, r))
	}
	w.open()
	within(t, "the rows from before", func() bool {
		return slices.Equal(rowsOf(w.get("").Body.String()), want)
	})
	page := w.listen("events?after=0", "")
	one := w.listen("events?after=0&host=MX3", "")
	var came, ofOne []string
	await := func(l *listener, list *[]string, n int) {
		t.Helper()
		within(t, "the new rows", func() bool {
			*list = append(*list, rowsOf(l.took())...)
			return len(*list) >= n
		})
	}
	want = nil
	for i := range 15 {
		r := w.record(now.Add(time.Duration(i) * time.Second))
		host := fmt.Sprint("mx", i%3+1) // mx3 comes now
		if host == "mx1" {
			w.decided(r)
		}
		w.shares(host, r)
		want = append(want, rowText(host, r))
	}
	await(page, &came, len(want))
	await(one, &ofOne, 5)
	time.Sleep(10 * w.pace.rows)
	came, ofOne = append(came, rowsOf(page.close())...), append(ofOne, rowsOf(one.close())...)
	slices.Sort(came)
	slices.Sort(want)
	if !slices.Equal(came, want) {
		t.Errorf("rows\n%q, want\n%q", came, want)
	}
	if len(ofOne) != 5 || strings.Contains(strings.Join(ofOne, " "), "mx1") {
		t.Errorf("of mx3: %q", ofOne)
	}
	form := w.get("").Body.String()
	if !strings.Contains(form, `name="host"`) || !strings.Contains(form, `<option value="mx3">`) {
		t.Error("the filter has no hosts")
	}
	if other := newWorld(t, "").open().get("").Body.String(); strings.Contains(other, "Host</th>") || strings.Contains(other, `name="host"`) {
		t.Error("without a fleet there is a host")
	}
}

// A page about what other hosts have decided is as one about this one's.
func TestFleetPages(t *testing.T) {
	w := newFleet(t)
	now := time.Now()
	for i, host := range []string{"mx1", "mx2", "mx3"} {
		for j := range 20 {
			r := w.record(now.Add(-time.Duration(i+3*j) * time.Minute))
			r.MTA = host + ".example.net"
			w.shares(host, r)
		}
	}
	r := w.decide("203.0.113.1", "friend", "reader@example.net", now.Add(-time.Minute))
	r.MTA = "relay.example.net" // another name than the host has
	w.shares("mx2", r)
	own := w.decide("203.0.113.1", "friend", "reader@example.net", now)
	w.open()
	w.decided(own) // its stream has it later
	within(t, "all is read", func() bool { return !w.evidence().standing().Reading })
	lines := func(path string) int { return strings.Count(w.get(path).Body.String(), "\n") }
	for _, tt := range []struct {
		path string
		want int
	}{
		{"export?format=jsonl", 62},
		{"export?format=jsonl&host=mx1", 21},
		{"export?format=jsonl&host=mx2", 21},
		{"export?format=jsonl&host=MX2.example.net", 20},
		{"export?format=jsonl&host=relay.example.net", 1},
		{"export?format=jsonl&host=mx9", 0},
	} {
		if n := lines(tt.path); n != tt.want {
			t.Errorf("%s: %d lines, want %d", tt.path, n, tt.want)
		}
	}
	w.shares("mx1", own)
	if n := lines("export?format=jsonl"); n != 62 {
		t.Errorf("%d lines, and all are 62: one is there twice, or none", n)
	}
	for _, tt := range []struct{ path, says string }{
		{"decision/" + r.ID, "friend"},
		{"decision/" + r.QueueID, "friend"},
		{"client/203.0.113.1", `data-label="Host"><span>mx2<`},
		{"clients?host=relay.example.net", "1 decision of 1 client."},
		{"days", `<a href="./?host=mx2">mx2</a></span></td><td class="n" data-label="Mail"><span>21<`},
		{"rules", "of 3 hosts of the fleet"},
	} {
		if page := w.get(tt.path); page.Code != http.StatusOK || !strings.Contains(page.Body.String(), tt.says) {
			t.Errorf("%s does not say %q: %d %s", tt.path, tt.says, page.Code, page.Body)
		}
	}
	answer := w.post("whatif", url.Values{"profile": {"strict"}})
	if answer.Code != http.StatusSeeOther {
		t.Fatal(answer.Code, answer.Body)
	}
	trial := w.trials.all()[0]
	<-trial.ended
	if state, share, summary, _ := trial.standing(); state != trialDone || share == 0 || summary.Daemon.Items != 62 {
		t.Errorf("%s, %g, %+v", state, share, summary)
	}
}

// Without the server, pages say so, and show what they have and what this host decides; then they have all.
func TestFleetAway(t *testing.T) {
	w := newFleet(t)
	now := time.Now()
	w.redis.Pause()
	w.open()
	says := func(page, text string) func() bool {
		return func() bool { return strings.Contains(w.get(page).Body.String(), text) }
	}
	within(t, "the page says so", says("rules", "The fleet&#39;s server does not answer"))
	r := w.record(now)
	w.decided(r)
	if rows := rowsOf(w.get("").Body.String()); !slices.Equal(rows, []string{rowText("mx1", r)}) {
		t.Errorf("rows %q", rows)
	}
	if page := w.get("decision/" + r.ID); page.Code != http.StatusOK {
		t.Errorf("its decision: %d", page.Code)
	}
	if page := w.get("decision/" + strings.Repeat("x", 26)); page.Code != http.StatusServiceUnavailable {
		t.Errorf("another, which may be there: %d", page.Code)
	}
	if page := w.get("clients?want=refuse").Body.String(); !strings.Contains(page, "Not all that is kept could be read.") {
		t.Error("a search does not say that it is not whole")
	}
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler { // as net/http compares it
				t.Errorf("an export that is not whole ends with %v", p)
			}
		}()
		w.ServeHTTP(httptest.NewRecorder(), request("GET", "export?format=csv", nil))
	}()

	w.redis.Resume()
	w.shares("mx1", r)
	w.shares("mx2", w.records(30, now.Add(-day), now)...)
	w.showsFleet("it is back", 31)
	within(t, "the page says no more", func() bool { return !says("rules", "does not answer")() })

	w.redis.Pause()
	within(t, "the page says so again", says("days", "The fleet&#39;s server does not answer"))
	if n := w.evidence().standing().Records; n != 31 {
		t.Errorf("%d records", n)
	}
	w.useFleet(w.parse("profile = \"strict\"\n" + w.toml))
	w.redis.Resume()
	w.shares("mx2", w.records(5, now, now.Add(time.Second))...)
	w.showsFleet("back again, with another profile", 36)
}

// What streams have lost, and what they have that is none, is said.
func TestFleetLosses(t *testing.T) {
	w := newFleet(t)
	now := time.Now()
	w.host("mx2", 100) // records
	w.shares("mx2", w.records(450, now.Add(-day), now)...)
	w.shares("mx3", w.records(10, now.Add(-day), now)...)
	write := func(host, text string) {
		t.Helper()
		if _, err := w.host(host, 100).stream.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("mx3", "no record\t\n{}\t\n"+`{"v":9}`+"\t\n")
	w.open()
	s, err := w.fleet.Open(t.Context(), "mx2", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Count(string(text), "\n")
	if kept >= 450 {
		t.Fatal("nothing is trimmed")
	}
	w.showsFleet("what is there", kept+10)
	page := w.get("days").Body.String()
	for _, says := range []string{
		fmt.Sprintf("Missing in these figures, as far as is known: fleet:mx2: %d earlier records are not kept any more.", 450-kept),
		"3 records of the fleet could not be read.",
	} {
		if !strings.Contains(page, says) {
			t.Errorf("the page does not say %q: %s", says, page)
		}
	}
}

// A reload may take the fleet away, and give it back, before anything has been read.
func TestFleetComesAndGoes(t *testing.T) {
	w := newFleet(t)
	now := time.Now()
	w.shares("mx1", w.records(300, now.Add(-day), now)...)
	w.shares("mx2", w.records(300, now.Add(-day), now)...)
	for i := range 30 {
		if w.shared = w.fleet; i%3 == 1 {
			w.shared = nil
		}
		w.use(w.cfg, "")
		w.decided(w.record(now))
		time.Sleep(time.Duration(i%7) * 10 * time.Millisecond)
	}
	w.shared = w.fleet
	w.use(w.cfg, "")
	w.showsFleet("at last", 600)
}

// A server that others write to makes no page wrong, and holds none up.
func TestFleetHostile(t *testing.T) {
	w := newFleet(t)
	now := time.Now()
	const name = `<script>"&' x` + "\x1b[31m"
	stream := "helo-milter:decisions:"
	record := string(w.record(now).AppendJSON(nil))
	for _, host := range []string{name, "mx5", "mx6", "", "MX7", "mx8"} {
		w.redis.Do(t, "ZADD", "helo-milter:hosts", fmt.Sprint(now.Unix()), host)
	}
	w.redis.Do(t, "XADD", stream+name, "*", "n", "a 1 0", "r", record) // which no host has
	w.redis.Do(t, "XADD", stream+"MX7", "*", "n", "a 1 0", "r", record)
	w.redis.Do(t, "SET", stream+"mx5", "no stream")
	w.redis.Do(t, "XADD", stream+"mx6", "*", "n", "a 1 0", "r", strings.Repeat("[", 2<<20))
	w.redis.Do(t, "XADD", stream+"mx6", "*", "something", "else")
	w.redis.Do(t, "XADD", stream+"mx8", "*", "n", "a 1 0", "r", "   ")
	list := w.records(3, now.Add(-day), now)
	w.shares("mx9", list...)
	w.open()
	within(t, "all is read", func() bool {
		s := w.evidence().standing()
		return !s.Reading && s.Records == 4 && s.Broken == 2
	})
	for _, path := range []string{"", "clients?host=mx9", "clients?host=" + url.QueryEscape(name), "rules", "days", "clients?host=mx7", "decision/" + list[0].ID} {
		page := w.get(path).Body.String()
		if strings.Contains(page, "<script>") || strings.Contains(page, "\x1b") {
			t.Errorf("%s is not clean: %s", path, page)
		}
		for _, says := range []string{"fleet:mx5 cannot be read", "fleet:mx6: 1 entry is of another version"} {
			if !strings.Contains(page, says) {
				t.Errorf("%s does not say %q", path, says)
			}
		}
	}
	for path, says := range map[string]string{"clients?host=mx9": "3 decisions of", "clients?host=mx7": "1 decision of"} {
		if page := w.get(path).Body.String(); !strings.Contains(page, says) {
			t.Errorf("%s does not say %q", path, says)
		}
	}

	// What is lost while it is followed.
	w.redis.Do(t, "DEL", stream+"mx5")
	w.shares("mx5", w.records(2, now, now.Add(time.Second))...)
	w.redis.Do(t, "XADD", stream+"MX7", "*", "n", "a 9 2", "r", string(w.record(now).AppendJSON(nil)))
	within(t, "what has come is read", func() bool { return w.evidence().standing().Records == 7 })
	within(t, "and what is missing said", func() bool {
		return strings.Contains(w.get("days").Body.String(), "7 records in between are missing, 2 records were dropped by the host")
	})
	w.redis.Do(t, "FLUSHALL")
	time.Sleep(5 * w.pace.evidence)
	if s := w.evidence().standing(); s.Records != 7 {
		t.Errorf("%d records after a flush", s.Records)
	}
}

// A session has several decisions: the page has those that are in memory, and those that only the stream has.
func TestFleetSession(t *testing.T) {
	w := newFleet(t)
	now := time.Now()
	first := w.record(now.Add(-time.Hour))
	w.shares("mx2", first)
	w.shares("mx2", w.records(tailRows+10, now.Add(-time.Hour), now)...)
	w.open()
	last := w.record(now)
	last.ID = first.ID
	w.shares("mx2", last)
	within(t, "both are shown", func() bool {
		page := w.get("decision/" + first.ID).Body.String()
		return strings.Count(page, `aria-label="The decision"`) == 2
	})
	if page := w.get("decision/" + first.QueueID); page.Code != http.StatusOK {
		t.Errorf("one that only the stream has: %d", page.Code)
	}
	if page := w.get("decision/" + strings.Repeat("x", 26)); page.Code != http.StatusNotFound {
		t.Errorf("one that nobody has: %d", page.Code)
	}
}
