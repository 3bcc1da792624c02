package console

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/checkstest"
	"helo-milter/cmd/helo-milter/internal/past"
)

// What is left out without decoding it is not what the filter wants.
func TestOfLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		records := w.records(60, time.Now(), time.Now().Add(time.Hour))
		texts := slices.AppendSeq(slices.Clone(markup), maps.Values(checkstest.Hostile(t)))
		for i, text := range texts {
			records = append(records, says(i%100, text, time.Now()))
		}
		lines := make([][]byte, len(records))
		for i := range records {
			var err error
			lines[i] = records[i].AppendJSON(nil)
			if records[i], err = new(past.Decoder).Record(lines[i]); err != nil { // what a page has
				t.Fatal(err)
			}
		}
		matched := 0
		for range 800 {
			f, err := filterOf(randomFilter(w.random, records[w.random.IntN(len(records))]))
			if err != nil {
				t.Fatal(err)
			}
			holds := f.ofLine()
			for i := range records {
				if !f.match("", records[i]) {
					continue
				}
				if matched++; holds != nil && !holds(lines[i]) {
					t.Errorf("%+v: not in %s", f, lines[i])
				}
			}
		}
		if matched < 800 {
			t.Errorf("only %d matches", matched)
		}
	})
}

// randomFilter is one that a record matches: parts of its texts, in other cases.
func randomFilter(random *rand.Rand, r *checks.Record) url.Values {
	q := url.Values{}
	part := func(text string) string {
		letters := []rune(text)
		if len(letters) == 0 {
			return ""
		}
		from := random.IntN(len(letters))
		text = string(letters[from:min(len(letters), from+1+random.IntN(8))])
		return []string{text, strings.ToUpper(text), strings.ToLower(text)}[random.IntN(3)]
	}
	maybe := func(key, value string) {
		if random.IntN(3) == 0 {
			q.Set(key, value)
		}
	}
	maybe("helo", part(r.Helo.Raw))
	if len(r.Facts.PTR.Values) > 0 {
		maybe("ptr", part(r.Facts.PTR.Values[0].Name))
	}
	bits := r.Client.BitLen() - random.IntN(12)
	maybe("client", netip.PrefixFrom(r.Client, bits).String())
	maybe("want", r.Verdict.Want)
	if len(r.Findings) > 0 {
		maybe("rule", r.Findings[0].Rule)
	}
	return q
}

func TestFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		r := w.decide("203.0.113.1", "Mail1.Example.ORG", "Reader@Example.NET", time.Now())
		r.Verdict.Want, r.Findings = "tempfail", []checks.RuleFinding{{Rule: "helo-localhost"}}
		six := w.decide("2001:db8::9", "\u212aelvin.\u0130.example", "<reader@example.net>", time.Now())
		for _, tt := range []struct {
			query string
			want  string // "4" and "6" match; or a part of the error
		}{
			{"", "46"},
			{"want=tempfail", "4"},
			{"want=refuse", "4"},
			{"want=reject", ""},
			{"want=accept", "6"},
			{"rule=helo-localhost", "4"},
			{"rule=helo-malformed", "6"},
			{"client=203.0.113.1", "4"},
			{"client=203.0.113.0/24", "4"},
			{"client=203.0.113.77/24", "4"}, // what is behind the slash counts no more than it should
			{"client=::ffff:203.0.113.1", "4"},
			{"client=::ffff:203.0.113.0/120", "4"},
			{"client=0.0.0.0/0", "4"},
			{"client=::/0", "6"},
			{"client=2001:DB8::9", "6"},
			{"client=2001:db8::/32", "6"},
			{"client=192.0.2.0/24", ""},
			{"helo=MAIL1", "4"},
			{"helo=elvin", "6"},
			{"helo=kelvin", ""}, // it is another letter
			{"helo=%E2%84%AAELVIN", "6"},
			{"helo=example", "46"},
			{"ptr=Example.org", "46"},
			{"ptr=mail1", "4"},
			{"domain=example.net", "46"},
			{"domain=@EXAMPLE.net", "46"},
			{"domain=ample.net", ""},
			{"want=tempfail&helo=elvin", ""},
			{"want=maybe", "not one of"},
			{"rule=no-rule", "not the name of a rule"},
			{"client=mail.example.org", "neither an address nor a network"},
			{"client=192.0.2.0/33", "neither an address nor a network"},
		} {
			q, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			f, err := filterOf(q)
			got := ""
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) || tt.want == "" {
					t.Errorf("%s: %v", tt.query, err)
				}
				continue
			}
			holds := f.ofLine()
			for name, r := range map[string]*checks.Record{"4": r, "6": six} {
				if f.match("", r) {
					got += name
					if holds != nil && !holds(r.AppendJSON(nil)) {
						t.Errorf("%s: the line of %s is left out", tt.query, name)
					}
				}
			}
			letters := []byte(got)
			slices.Sort(letters)
			if string(letters) != tt.want {
				t.Errorf("%s: %s, want %s", tt.query, letters, tt.want)
			}
			again, err := url.ParseQuery(f.with())
			if err != nil {
				t.Fatal(err)
			}
			if same, err := filterOf(again); err != nil || same != f || f.Empty() != (tt.query == "") {
				t.Errorf("%s: in an address it is %s", tt.query, f.with())
			}
		}
	})
}
