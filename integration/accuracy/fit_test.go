package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helo-milter/checks"
)

// Where the optimum is known: one feature without a penalty has the log odds of the two groups, and one that
// is more common in ham has no weight.
func TestLogit(t *testing.T) {
	for _, c := range []struct {
		story     string
		samples   []sample
		penalties []float64
		want      logit
	}{
		{
			"odds of 1/4 without the feature, and of 9 with it",
			[]sample{{[]float64{1, 0}, 40, 10}, {[]float64{1, 1}, 5, 45}},
			[]float64{0, 0},
			logit{math.Log(0.25), math.Log(36)},
		},
		{
			"twice is twice the weight",
			[]sample{{[]float64{1, 0}, 10, 10}, {[]float64{1, 1}, 10, 20}, {[]float64{1, 2}, 10, 40}},
			[]float64{0, 0},
			logit{0, math.Log(2)},
		},
		{
			"never negative: only the intercept is left",
			[]sample{{[]float64{1, 0}, 10, 60}, {[]float64{1, 1}, 40, 10}},
			[]float64{0, 0},
			logit{math.Log(1.4), 0},
		},
		{
			"a feature that nothing has",
			[]sample{{[]float64{1, 0}, 10, 20}},
			[]float64{0, 0},
			logit{math.Log(2), 0},
		},
		{
			"a penalty that outweighs all",
			[]sample{{[]float64{1, 0}, 10, 10}, {[]float64{1, 1}, 10, 10.001}},
			[]float64{0, 1e9},
			logit{math.Log(20.001 / 20), 0},
		},
	} {
		got := fitLogit(c.samples, c.penalties)
		for j := range c.want {
			if math.Abs(got[j]-c.want[j]) > 1e-6 {
				t.Errorf("%s: %v; want %v", c.story, got, c.want)
				break
			}
		}
	}
}

// No neighbour of the optimum is better, with features that go together, and where a weight has no bound but
// its penalty.
func TestLogitIsOptimal(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		penalties := []float64{0, 0.5, 2, 8}
		var samples []sample
		for i := range 12 {
			a, b := float64(i&1), float64(i>>1&1)
			s := sample{[]float64{1, a, max(a, b), float64(i % 3)}, 9 * random.Float64(), 9 * random.Float64()}
			if a > 0 {
				s.ham = 0
			}
			samples = append(samples, s)
		}
		cost := func(m logit) float64 {
			sum := 0.0
			for _, s := range samples {
				sum += (s.ham + s.spam) * m.loss([]sample{s})
			}
			for j, p := range penalties {
				sum += p / 2 * m[j] * m[j]
			}
			return sum
		}
		best := fitLogit(samples, penalties)
		for range 100 {
			other := slices.Clone(best)
			for j := range other {
				other[j] += 0.01 * (random.Float64() - 0.5)
				if j > 0 {
					other[j] = max(other[j], 0)
				}
			}
			if cost(other) < cost(best)-1e-9 || slices.Min(best[1:]) < 0 {
				t.Fatalf("%v costs %v, and %v %v", best, cost(best), other, cost(other))
			}
		}
	}
}

// readTable reads the committed table of patterns.
func readTable(t *testing.T) *patterns {
	f, err := os.Open("testdata/patterns.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := readPatterns("patterns.tsv", f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestScoresAreTheFit covers the rule table's scores: nobody tunes them by hand.
func TestScoresAreTheFit(t *testing.T) {
	f, err := newFit(readTable(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range checks.All {
		if r.Score != f.scores[i] {
			t.Errorf("%s has the score %v in checks/rules.go; accuracy --fit testdata/patterns.tsv says %v",
				r.Name, r.Score, f.scores[i])
		}
	}
}

// The fit depends on what is in the table, not on the order of its lines, and the table is written as it was
// read.
func TestPatternsTable(t *testing.T) {
	text, err := os.ReadFile("testdata/patterns.tsv")
	if err != nil {
		t.Fatal(err)
	}
	body := strings.TrimPrefix(string(text), tableHead)
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	slices.Reverse(lines)
	p, err := readPatterns("f", strings.NewReader(tableHead+strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	var again strings.Builder
	if p.write(&again); again.String() != string(text) {
		t.Error("the table of patterns is not written as it was read")
	}
	f, err := newFit(p)
	g, otherErr := newFit(readTable(t))
	if err != nil || otherErr != nil || !slices.Equal(f.model, g.model) || !slices.Equal(f.scores, g.scores) {
		t.Errorf("%v, %v: %v and %v differ", err, otherErr, f, g)
	}
	for _, c := range []struct{ line, want string }{
		{"old\tham\t1\t-\t1", "f:6: fields: 5, not 6: write the table again"},
		{"new\tham\t1\t-\t1\t-", "f:6: there are no new ham"},
		{"old\tegg\t1\t-\t1\t-", "f:6: there are no old egg"},
		{"old\tham\t10\t-\t1\t-", `f:6: fold "10" of - with - hops`},
		{"old\tham\t1\tptr\t1\t-", "f:6: one of the rules ptr does not exist"},
		{"old\tham\t1\t-\t0\t-", `f:6: votes "0"`},
		{"old\tham\tall\tptr-missing,ptr-many\t1\t1", `f:6: fold "all" of ptr-missing,ptr-many`},
		{"old\tham\tall\tptr-missing\t1\t-", `f:6: fold "all" of ptr-missing with - hops`},
	} {
		_, err := readPatterns("f", strings.NewReader(tableHead+c.line))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.line, err, c.want)
		}
	}
}

// made returns votes of n networks for each of some sets of rules.
func made(side side, n int, fails ...string) []vote {
	var votes []vote
	for _, f := range fails {
		for i := range n {
			ip := [4]byte{192, byte(i), 2, 1}
			if !side.ham {
				ip[0] = 198
			}
			network := networkOf(netip.AddrFrom4(ip))
			votes = append(votes, vote{side: side, network: network, fails: f, hops: i + 1})
		}
	}
	return votes
}

// TestTiers covers where a score comes from.
func TestTiers(t *testing.T) {
	ham, spam := side{"old", true}, side{"old", false}
	votes := slices.Concat(
		made(ham, 40, "-"), made(ham, 4, "ptr-missing,helo-ptr-mismatch"), made(ham, 20, "ptr-generic"),
		made(spam, 20, "-", "ptr-missing,helo-ptr-mismatch", "helo-bare-ip"),
		made(spam, 2, "helo-not-fqdn", "helo-numeric"), made(spam, 10, "ptr-generic"))
	assignFolds(votes)
	f, err := newFit(newPatterns(votes))
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]float64{
		"helo-bare-ip": 5, "helo-numeric": 5, // refuse in careful
		"helo-denied":   5, // the same, and nobody failed it
		"helo-spf":      0, // refuses in standard only, and nobody failed it
		"helo-not-fqdn": 0, // two networks of spam
		"ptr-generic":   0, // more common in ham
		"ptr-many":      0,
	} {
		if got := f.scores[checks.Index(rule)]; got != want {
			t.Errorf("%s: %v; want %v", rule, got, want)
		}
	}
	missing, mismatch := f.scores[checks.Index("ptr-missing")], f.scores[checks.Index("helo-ptr-mismatch")]
	if missing != mismatch || missing <= 0 || missing >= 5 {
		t.Errorf("two rules that always fail together share their weight: %v, %v", missing, mismatch)
	}
	if got := f.score(parseHits("ptr-missing,helo-ptr-mismatch?")); got != missing+mismatch {
		t.Errorf("score %v; want %v", got, missing+mismatch)
	}
	if _, err := newFit(newPatterns(votes[:40])); err == nil ||
		err.Error() != "old spam has hops in 0 of 10 folds, and needs 2: give more files" {
		t.Error(err)
	}
	if _, err := newFit(newPatterns(nil)); err == nil {
		t.Error("a fit of nothing")
	}
}

// A network has one vote for each set of rules that its hops fail: 192.0.2.10 has one for two hops. With ? is
// what the addresses of the HELO name could have cleared.
func TestVotes(t *testing.T) {
	file, err := readFile("testdata/old.tsv")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, v := range new(options).votes(file) {
		where := fmt.Sprintf("%v %v", v.side, v.network)
		got[where]++
		for _, h := range parseHits(v.fails) {
			got[fmt.Sprintf("%s %s %v", where, checks.All[h.rule].Name, h.leans)]++
		}
		if v.fails == "-" {
			got[where+" hops that fail nothing"] += v.hops
		}
	}
	for what, want := range map[string]int{
		"old ham 192.0.0.0/16": 3, "old ham 192.0.0.0/16 hops that fail nothing": 2,
		"old spam 198.51.0.0/16": 5, "old spam 2001:db8::/32": 1, "old spam 2001:db8::/32 hops that fail nothing": 1,
		"old spam 198.51.0.0/16 helo-bare-ip false": 1, "old spam 198.51.0.0/16 helo-not-fqdn false": 1,
		"old spam 198.51.0.0/16 helo-forged-brand true": 1,
	} {
		if got[what] != want {
			t.Errorf("%s: %d; want %d", what, got[what], want)
		}
	}
}

// Folds have equal parts of each side, and no network is in two of them.
func TestFolds(t *testing.T) {
	ham, spam := side{"old", true}, side{"old", false}
	votes := slices.Concat(made(ham, 40, "-", "ptr-missing"), made(spam, 20, "ptr-missing"))
	assignFolds(votes)
	sizes, in := map[side][folds]int{}, map[netip.Prefix]int{}
	for _, v := range votes {
		size := sizes[v.side]
		size[v.fold]++
		sizes[v.side] = size
		if fold, ok := in[v.network]; ok && fold != v.fold {
			t.Errorf("%v is in folds %d and %d", v.network, fold, v.fold)
		}
		in[v.network] = v.fold
	}
	if fmt.Sprint(sizes[ham], sizes[spam]) != "[8 8 8 8 8 8 8 8 8 8] [2 2 2 2 2 2 2 2 2 2]" {
		t.Error(sizes)
	}
}

// TestCatch covers the curve and its interval.
func TestCatch(t *testing.T) {
	ham, spam := side{"old", true}, side{"old", false}
	unit := func(s side, network string, hops int, score float64) unseen {
		return unseen{vote{side: s, network: netip.MustParsePrefix(network), hops: hops}, score}
	}
	list := []unseen{
		unit(spam, "192.0.0.0/16", 2, 6), unit(ham, "198.51.0.0/16", 1, 5), unit(spam, "203.0.0.0/16", 3, 5),
		unit(spam, "192.1.0.0/16", 4, 1), unit(ham, "198.52.0.0/16", 2, 0), unit(spam, "192.2.0.0/16", 1, 0),
	}
	for percent, want := range map[float64]float64{0: 20, 33: 20, 34: 90, 100: 90} {
		if got := catch(list, once, percent); got != want {
			t.Errorf("at %v %%: %v; want %v", percent, got, want)
		}
	}
	if low, high := interval(list, 34); low >= 90 || high < 90 || high > 100 {
		t.Errorf("interval %v to %v around 90", low, high)
	}
	if got, want := hitAt(list, spam, 5), (share{5, 10, 2, 4}); got != want {
		t.Errorf("%v; want %v", got, want)
	}
}

// TestFitOutput covers the command.
func TestFitOutput(t *testing.T) {
	rows := oldHead
	for i := range 24 {
		rows += fmt.Sprintf("ham\t192.%d.2.1\tmail.example.org\tmail.example.org\tok/unknown\tmx.example.net\n", i) +
			fmt.Sprintf("spam\t203.%d.113.1\tmail.example.com\t-\tnone\tmx.example.net\n", i) +
			fmt.Sprintf("spam\t203.%d.113.2\t203.0.113.9\t-\tnone\tmx.example.net\n", i)
	}
	hops := filepath.Join(t.TempDir(), "hops.tsv")
	if err := os.WriteFile(hops, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"--fit --pair=helo-not-fqdn+ptr-missing testdata/patterns.tsv", "\nhelo-not-fqdn+ptr-missing: "},
		{"--fit --at=0 " + hops, "old     100.0 100-100\n\nHit there by a threshold of 5, "},
		{"--patterns " + hops, "old\tspam\tall\thelo-bare-ip\t24\t24\n"},
	} {
		var out, stderr strings.Builder
		if code := run(strings.Fields(c.args), &out, &stderr); code != exitDone {
			t.Fatalf("%s: exit %d: %s", c.args, code, &stderr)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: no %q:\n%s", c.args, c.want, &out)
		}
	}
}
