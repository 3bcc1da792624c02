package evidence

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"helo-milter/checks"
)

// The figures about failed lookups and HELOs that were not recorded.
func TestUnknownFigures(t *testing.T) {
	const none = "lookups failed 0 PTR unknown 0, resolver degraded 0"
	for _, tt := range []struct{ mail, trouble, unheard string }{
		{"3 mail.example.org named", none, ""},
		{"3 mail.example.org failed", "lookups failed 3 PTR unknown 3, resolver degraded 0", ""},
		{"3 mail.example.org failed ham", "not recorded 3 PTR unknown 3", ""},
		{"3 unheard named; 2 friend none", none, "HELO not recorded 3"},
		{"4 unheard failed spam", "not recorded 4 PTR unknown 4", "HELO not recorded 4"},
	} {
		tally := newTally()
		for i, words := range strings.Split(tt.mail, "; ") {
			clients(t, tally, byte(i), 1, words)
		}
		trouble, unheard := "", ""
		for _, f := range tally.Report(0, 0).Sections[0].Figures() {
			switch f.Name {
			case "lookups failed", "not recorded":
				trouble = f.Name + " " + f.Count + strings.TrimPrefix(f.Note, "at least one rule unsure;")
			case "HELO not recorded":
				unheard = f.Name + " " + f.Count
			}
		}
		if trouble != tt.trouble || unheard != tt.unheard {
			t.Errorf("%s: %q and %q, want %q and %q", tt.mail, trouble, unheard, tt.trouble, tt.unheard)
		}
	}
}

// refusal is a client, and the minute at which it is refused.
type refusal struct {
	client byte
	minute int
}

func (r refusal) record() *checks.Record {
	client := netip.AddrFrom4([4]byte{203, 0, 113, r.client})
	return &checks.Record{
		Client: client, Time: time.Date(2026, 11, 1, 0, r.minute, 0, 0, time.UTC),
		Facts:   facts(client, fmt.Sprintf("friend-%d", r.minute), "none"),
		Verdict: checks.RecordVerdict{Want: "reject", Rule: "helo-not-fqdn"},
	}
}

// The clients with the most refused transactions are found in whatever order the records come, although texts
// are kept for maxTop clients only.
func TestTop(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		tally, all := newTally(), map[byte]*TopClient{}
		for _, minute := range random.Perm(2000) {
			r := refusal{byte(random.IntN(100)), minute}
			record := r.record()
			tally.Add(record)
			if all[r.client] == nil {
				all[r.client] = &TopClient{Example: Example{Client: record.Client}}
			}
			all[r.client].Refused++
			if record.Time.After(all[r.client].Last) {
				all[r.client].Last = record.Time
			}
		}
		var want []string
		list := make([]*TopClient, 0, len(all))
		for _, c := range all {
			list = append(list, c)
		}
		slices.SortFunc(list, func(a, b *TopClient) int {
			return cmp.Or(b.Refused-a.Refused, b.Last.Compare(a.Last), a.Client.Compare(b.Client))
		})
		for _, c := range list[:maxTop] {
			want = append(want, fmt.Sprint(c.Client, c.Refused, c.Last))
		}
		var got []string
		for _, c := range tally.Report(0, 0).Sections[0].Top {
			got = append(got, fmt.Sprint(c.Client, c.Refused, c.Last))
			if c.Rule != "helo-not-fqdn" || !strings.HasPrefix(c.Helo, "friend-") {
				t.Errorf("%+v", c)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Clients beyond maxClients are counted as transactions only, and the report says so.
func TestMoreClients(t *testing.T) {
	for _, tt := range []struct {
		limit, clients int
		more           bool
	}{{maxClients + 1, 5, false}, {5, 5, false}, {4, 4, true}, {0, 0, true}, {-1, 0, true}} {
		tally := newTally()
		tally.LimitClients(tt.limit)
		for i := range 10 {
			tally.Add(refusal{byte(i % 5), i}.record())
		}
		s := &tally.Report(0, 0).Sections[0]
		if s.More != tt.more || s.Clients != tt.clients || s.RefusedBy != tt.clients || len(s.Top) != tt.clients ||
			s.Judged != 10 || s.Refused != 10 {
			t.Errorf("%+v: %+v", tt, s)
		}
		if strings.Contains(s.Figures()[2].Note, "the first ") != tt.more {
			t.Errorf("%+v: %+v", tt, s.Figures()[2])
		}
	}
}

// What is reported does not depend on reports before, nor change afterwards: not even for clients whose looks do,
// since mail labelled ham follows spam, or a user logs in.
func TestReportWhileItGrows(t *testing.T) {
	now := time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC)
	say := func(r *Report) string {
		letter := &Letter{Host: "mx.example.net", Now: now}
		subject, text := letter.Write(r)
		return r.JSON() + r.HTML() + subject + text
	}
	once, often := newTally(), newTally()
	once.Compare(now)
	often.Compare(now)
	var reports []*Report
	var texts []string
	for i, mail := range []string{
		"2 friend named spam", "2 friend none ham", "1 friend named ham", "9 mail.example.org named",
		"3 192.0.2.1 none", "1 laptop none authenticated", "4 mail.example.org failed", "2 friend named allow",
		"2 mail.example.org none spf",
	} {
		clients(t, once, byte(i/2), 7, mail)
		clients(t, often, byte(i/2), 7, mail)
		reports = append(reports, often.Report(0, 0))
		texts = append(texts, say(reports[i]))
	}
	if want, got := once.Report(0, 0), often.Report(0, 0); say(got) != say(want) {
		t.Errorf("after other reports, it is\n%s\nwant\n%s", got.Text(), want.Text())
	}
	for i, r := range reports {
		if say(r) != texts[i] {
			t.Errorf("report %d was changed by later records", i)
		}
	}
}

// BenchmarkTally measures time and memory for a client that is refused once, and what the tally keeps of it:
// see 200,000 clients with -benchtime 200000x.
func BenchmarkTally(b *testing.B) {
	tally := newTally()
	b.ReportAllocs()
	before := heap()
	n := uint32(0)
	for b.Loop() {
		n++
		r := refusal{0, 0}.record()
		r.Client = netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		r.Facts.Client = r.Client
		tally.Add(r)
	}
	b.ReportMetric(float64(heap()-before)/float64(n), "heap-B/client")
	runtime.KeepAlive(tally)
}

// BenchmarkReport measures a report on 200,000 clients.
func BenchmarkReport(b *testing.B) {
	tally := newTally()
	for n := range 200_000 {
		r := refusal{0, 0}.record()
		r.Client = netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
		r.Facts.Client = r.Client
		tally.Add(r)
	}
	for b.Loop() {
		tally.Report(0, 0)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
