package main

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"helo-milter/checks"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// story has the expected counts for a made-up file: by class, how often a rule fails and is unsure. Rules
// that are not named are not checked, so that a new rule changes nothing here.
type story struct {
	file          string
	hops, clients map[string]int
	exempt, mute  int
	fails, unsure map[string]map[string]int // rule, class
}

var stories = []story{
	{
		file: "testdata/old.tsv",
		hops: map[string]int{"ham": 4, "spam": 6}, clients: map[string]int{"ham": 3, "spam": 5},
		exempt: 2, // 10.1.2.3 is private; 192.0.2.14 is confirmed in the receiver's own domain
		mute:   1, // 192.0.2.15: `-`
		fails: map[string]map[string]int{
			// 192.0.2.11 says mailer; 198.51.100.4 says x in its second hop.
			"helo-not-fqdn": {"ham": 1, "spam": 1},
			// 198.51.100.1 says its own address.
			"helo-bare-ip": {"spam": 1},
			// 192.0.2.12; 198.51.100.1 and .2.
			"ptr-missing": {"ham": 1, "spam": 2},
			// 198.51.100.3 alone: ok/unknown is confirmed.
			"ptr-unconfirmed": {"spam": 1},
			// 192.0.2.12 for want of a name; so 198.51.100.2; .3 and .4 (yahoo.com) have another. A bare
			// address and one label are not looked at; upper case, a final dot and another host of
			// example.org agree.
			"helo-ptr-mismatch": {"ham": 1, "spam": 3},
		},
		unsure: map[string]map[string]int{
			// 198.51.100.2 says the receiver's name, and .3 its domain, with a PTR name in it that is forged. Nobody
			// recorded the addresses of these names: they could clear.
			"helo-own-name": {"spam": 2},
			// Nor those of yahoo.com, for 198.51.100.4.
			"helo-forged-brand": {"spam": 1},
			// Known of 192.0.2.10, also when it has another PTR name, and of 2001:db8::1. Not of 192.0.2.12;
			// 198.51.100.2, .3 and .4 (yahoo.com).
			"helo-unresolvable": {"ham": 1, "spam": 3},
		},
	},
	{
		file: "testdata/modern.tsv",
		hops: map[string]int{"ham": 4, "ham-big": 1, "listspam": 2, "listspam-big": 1, "phish": 4},
		// 192.0.2.21 had a name in one hop and none in the other.
		clients: map[string]int{"ham": 3, "ham-big": 1, "listspam": 2, "listspam-big": 1, "phish": 4},
		exempt:  1, // 198.51.100.25, a large provider's relay that hands over at home
		fails: map[string]map[string]int{
			// 198.51.100.20; 2001:db8::2.
			"ptr-missing": {"listspam": 1, "phish": 1},
			// 192.0.2.22: verified no.
			"ptr-unconfirmed": {"ham": 1},
			// The same; 198.51.100.20 has one label, and what is said of phish is unsure.
			"helo-ptr-mismatch": {"ham": 1},
			// 198.51.100.20.
			"helo-not-fqdn": {"listspam": 1},
			// 2001:db8::2 says 2001:db8::3.
			"helo-literal-mismatch": {"phish": 1},
		},
		unsure: map[string]map[string]int{
			// 192.0.2.21 had a name at another time. 198.51.100.23 (microsoft.com) and .24: nobody recorded
			// whether there is a PTR.
			"ptr-missing": {"ham": 1, "phish": 2},
			// They, and .26, whose name nobody checked.
			"ptr-unconfirmed":   {"ham": 1, "phish": 3},
			"helo-ptr-mismatch": {"ham": 1, "phish": 3},
			// 198.51.100.24 says outlook.com to outlook.com, and is nobody's relay, for all that was recorded.
			"helo-own-name": {"phish": 1},
			// Known where the HELO is a name that the client had confirmed, if at another time: not of
			// 192.0.2.22 and .23, and of no name of phish.
			"helo-unresolvable": {"ham": 1, "ham-big": 1, "phish": 3},
		},
	},
}

func TestCounts(t *testing.T) {
	for _, s := range stories {
		t.Run(s.file, func(t *testing.T) {
			j := newJudge(checks.Standard, nil, nil)
			j.assume.helo = unknown
			tally := tallyOf(t, s.file, j)
			if tally.exempt != s.exempt || tally.mute != s.mute {
				t.Errorf("%d exempt, %d mute; want %d, %d", tally.exempt, tally.mute, s.exempt, s.mute)
			}
			hops, clients := byClass(tally, tally.judged, all)
			if !maps.Equal(hops, s.hops) || !maps.Equal(clients, s.clients) {
				t.Errorf("hops %v, clients %v; want %v, %v", hops, clients, s.hops, s.clients)
			}
			s.check(t, tally, s.fails, checks.Fail)
			s.check(t, tally, s.unsure, checks.Unsure)
		})
	}
}

func (s *story) check(t *testing.T, tally *tally, want map[string]map[string]int, result checks.Result) {
	for rule, hits := range want {
		got, _ := byClass(tally, tally.judged, hasResult(checks.Index(rule), result))
		if !maps.Equal(got, hits) {
			t.Errorf("%s is %v in %v; want %v", rule, result, got, hits)
		}
	}
}

func tallyOf(t *testing.T, name string, j *judge) *tally {
	file, err := readFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return j.tally(file)
}

// byClass returns counts by the names of the classes, without zeros.
func byClass(t *tally, units []judged, match func(*judged) bool) (hits, clients map[string]int) {
	hits, clients = map[string]int{}, map[string]int{}
	for i, k := range counts(t.form.classes, units, match) {
		if k.hits > 0 {
			hits[t.form.classes[i].name], clients[t.form.classes[i].name] = k.hits, k.clients
		}
	}
	return hits, clients
}

// pinned returns a judge whose policy does not depend on the rule table: only these rules count.
func pinned() *judge {
	actions, scores := map[string]checks.Action{}, map[string]float64{}
	for _, r := range checks.All {
		actions[r.Name] = checks.Off
	}
	actions["helo-bare-ip"], scores["helo-bare-ip"] = checks.Reject, 3
	actions["helo-not-fqdn"], scores["helo-not-fqdn"] = checks.TempFail, 2
	actions["ptr-missing"], scores["ptr-missing"] = checks.Mark, 0.1
	actions["helo-own-name"], scores["helo-own-name"] = checks.Mark, 0.2
	return newJudge(checks.Standard, actions, scores)
}

// 192.0.2.11 and 198.51.100.4 (x) are tempfailed and 198.51.100.1 is rejected; a mark refuses nothing, and a
// rule that is off does not count.
func TestRefusals(t *testing.T) {
	tally := tallyOf(t, "testdata/old.tsv", pinned())
	for p := range 3 {
		hits, _ := byClass(tally, tally.judged, func(u *judged) bool { return u.rules[p] != "" })
		if want := map[string]int{"ham": 1, "spam": 2}; !maps.Equal(hits, want) {
			t.Errorf("%v refuses %v; want %v", checks.Profile(p), hits, want)
		}
	}
}

// A profile refuses what fails a rule that refuses in its column.
func TestProfilesAreTheTable(t *testing.T) {
	for _, s := range stories {
		tally := tallyOf(t, s.file, newJudge(checks.Standard, nil, nil))
		for _, u := range tally.judged {
			for p, rule := range u.rules {
				want := false
				for i, r := range checks.All {
					want = want || u.results[i] == checks.Fail && r.Actions[p] >= checks.TempFail
				}
				if (rule != "") != want {
					t.Errorf("%s %v: %v refuses by %q", u.client, u.helo, checks.Profile(p), rule)
				}
			}
		}
	}
}

// Scores: 192.0.2.11 2, 192.0.2.12 0.1; 198.51.100.1 3.1, .2 0.1 + 0.2, .3 0.2, .4 0 and 2. The threshold 0.2
// catches more spam than 0.3 and hits no more ham; 0.3 and 3.1 are not lost to binary fractions.
func TestThresholds(t *testing.T) {
	tally := tallyOf(t, "testdata/old.tsv", pinned())
	ham, spam := []int{}, []int{}
	var at []float64
	list := thresholds(tally.form.classes, tally.judged)
	for _, l := range list {
		at, ham, spam = append(at, l.at), append(ham, l.counts[0].hits), append(spam, l.counts[1].hits)
	}
	if !slices.Equal(at, []float64{3.1, 0.2, 0.1}) || !slices.Equal(ham, []int{0, 1, 2}) ||
		!slices.Equal(spam, []int{1, 4, 4}) {
		t.Errorf("thresholds %v, ham %v, spam %v", at, ham, spam)
	}
	for percent, want := range map[float64]float64{0: 3.1, 24.9: 3.1, 25: 0.2, 49: 0.2, 50: 0.1, 100: 0.1} {
		if got, ok := best(list, percent, 4); !ok || got.at != want {
			t.Errorf("best at %v %%: %v, %v; want %v", percent, got.at, ok, want)
		}
	}
	if got, ok := best(list[1:], 24, 4); ok {
		t.Errorf("every threshold hits more, but got %v", got)
	}
}

// A client has the worst results of its hops: 198.51.100.4 said yahoo.com and x; both hops of 192.0.2.10
// pass.
func TestPerClient(t *testing.T) {
	tally := tallyOf(t, "testdata/old.tsv", pinned())
	units := perClient(tally.judged)
	hits, _ := byClass(tally, units, all)
	if want := map[string]int{"ham": 3, "spam": 5}; !maps.Equal(hits, want) {
		t.Errorf("clients %v; want %v", hits, want)
	}
	i := slices.IndexFunc(units, func(u judged) bool { return u.client.String() == "198.51.100.4" })
	both := []checks.Result{
		units[i].results[checks.Index("helo-ptr-mismatch")], units[i].results[checks.Index("helo-not-fqdn")],
	}
	if both[0] != checks.Fail || both[1] != checks.Fail || units[i].score != 2 ||
		units[i].rules[0] != "helo-not-fqdn" {
		t.Errorf("198.51.100.4: %v, %v, score %v", both, units[i].rules, units[i].score)
	}
}

func TestGolden(t *testing.T) {
	for _, args := range []string{
		"testdata/old.tsv testdata/modern.tsv", "--hops testdata/old.tsv testdata/modern.tsv",
		"--refused --per=client --profile=strict --at=0,30 --score=ptr-missing=0.25 testdata/old.tsv",
	} {
		name := "testdata/tables.golden"
		if option, _, _ := strings.Cut(args, " "); strings.HasPrefix(option, "--") {
			name = "testdata/" + option[2:] + ".golden"
		}
		var out, stderr strings.Builder
		if code := run(strings.Fields(args), &out, &stderr); code != exitDone || stderr.Len() > 0 {
			t.Fatalf("%s: exit %d: %s", args, code, &stderr)
		}
		if *update {
			if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s: %s differs; if the rule table has changed, run the test with -update:\n%s",
				args, name, &out)
		}
	}
}
