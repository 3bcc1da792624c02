package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"helo-milter/checks"
)

// Bounds of the fit.
const (
	rejectAt    = 5.0
	minNetworks = 3  // of spam that fail a rule; with fewer it has no weight of its own
	folds       = 10 // parts of the cross-validation
)

// λs are the penalties that are tried, in units of votes.
var λs = []float64{0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256}

// feature is what has a weight: any of its rules, or all of them together.
type feature struct {
	rules    []int
	together bool
	free     bool // of the penalty
}

// count returns how often a feature is in hits.
func (f *feature) count(hits []hit, leaning bool) float64 {
	n := 0
	for _, h := range hits {
		if (leaning || !h.leans) && slices.Contains(f.rules, h.rule) {
			n++
		}
	}
	if f.together {
		return float64(n / len(f.rules))
	}
	return float64(n)
}

// fit is the scores that follow from patterns, so that their sum separates spam from ham on mail that it has
// not seen:
//
//   - The model is a logistic regression on the rules that fail, with a ridge penalty. No weight is negative,
//     because every rule is about something wrong. Pairs of rules have no weights, see gain.
//   - It learns from votes: a network that sent a thousand messages counts as much as one that sent one. Ham
//     and spam of each corpus have the same mass.
//   - Each vote enters twice, at half its weight: with the HELO name elsewhere, and with nothing known of it.
//   - The hard rules, those that refuse in the profile standard, share one weight, which has no penalty. All
//     others are shrunk to 0. The penalty is the largest whose loss in cross-validation is at most one
//     standard error above the least. Networks are never divided between what is learned and what is tested.
//   - The hard rules set the scale: their score is rejectAt, and the others are in proportion. So that
//     threshold refuses what is as likely to be spam as a client that fails a hard rule and nothing else.
//
// Only the classes of small hosts are used, ham and the spam that reached the same receivers. Large
// providers' relays pass every rule, so they would move nothing but the intercept. Phishing was recorded by
// other receivers than any ham, mostly without reverse names, so its weights would say which receiver it was.
type fit struct {
	features []feature   // without the intercept; the first is the hard rules
	losses   [][]float64 // by λs and fold
	least    []float64   // those of the λ with the least mean
	chosen   []float64   // those of λ
	λ        float64
	model    logit
	scores   []float64 // by the rules' order in checks.All
}

// newFit returns an error for patterns that do not suffice.
func newFit(p *patterns) (*fit, error) {
	if err := p.enough(); err != nil {
		return nil, err
	}
	f := &fit{features: p.features(), scores: make([]float64, len(checks.All))}
	parts := parts(p.rows, f.features)
	for _, λ := range λs {
		f.losses = append(f.losses, losses(parts, penalties(f.features, λ)))
	}
	f.least = slices.MinFunc(f.losses, func(a, b []float64) int {
		return cmp.Compare(meanOf(a).mean, meanOf(b).mean)
	})
	for i, l := range f.losses {
		if more := difference(l, f.least); more.mean <= more.err {
			f.λ, f.chosen = λs[i], l
		}
	}
	f.model = fitLogit(samples(p.rows, f.features, true), penalties(f.features, f.λ))
	if f.model[1] == 0 {
		return nil, errors.New("no spam fails a rule that refuses in standard: that would set the scale")
	}
	for i, feature := range f.features {
		for _, rule := range feature.rules {
			f.scores[rule] = math.Round(10*rejectAt*f.model[i+1]/f.model[1]) / 10
		}
	}
	return f, nil
}

// enough returns an error for patterns that lack a side of a corpus, or have it in one fold alone.
func (p *patterns) enough() error {
	in := map[side][folds]bool{}
	for _, r := range p.rows {
		list := in[r.side]
		list[r.fold] = true
		in[r.side] = list
	}
	for _, s := range sides() {
		other := side{s.corpus, !s.ham}
		list := in[s]
		n := 0
		for _, has := range list {
			if has {
				n++
			}
		}
		if n < 2 && (n > 0 || in[other] != [folds]bool{}) || len(in) == 0 {
			return fmt.Errorf("%v has hops in %d of %d folds, and needs 2: give more files", s, n, folds)
		}
	}
	return nil
}

// features returns what has a weight: the hard rules, and each other rule that enough networks of spam fail.
func (p *patterns) features() []feature {
	list := []feature{{free: true}}
	for i := range checks.All {
		switch spam := p.networks(i, false); {
		case p.hard(i):
			list[0].rules = append(list[0].rules, i)
		case spam >= minNetworks:
			list = append(list, feature{rules: []int{i}})
		}
	}
	return list
}

// hard reports whether a rule has the score of the hard ones. One that no spam fails has it only if the
// profile careful refuses for it, too: the sum must not refuse for what nobody has measured.
func (p *patterns) hard(rule int) bool {
	actions := checks.All[rule].Actions
	measured := p.networks(rule, false) > 0
	return actions[checks.Careful] == checks.Reject || actions[checks.Standard] == checks.Reject && measured
}

func penalties(features []feature, λ float64) []float64 {
	list := make([]float64, len(features)+1)
	for i, f := range features {
		if !f.free {
			list[i+1] = λ
		}
	}
	return list
}
