package evidence

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
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
		room, clients int
		more          bool
	}{{5, 5, false}, {4, 4, true}, {0, 0, true}} {
		tally := newTally()
		tally.kinds[0].room = tt.room
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

// BenchmarkTally measures time and memory for a client that is refused once.
func BenchmarkTally(b *testing.B) {
	tally := newTally()
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		n++
		r := refusal{0, 0}.record()
		r.Client = netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		r.Facts.Client = r.Client
		tally.Add(r)
	}
}
