package main

import (
	"math"
	"slices"
)

// part is a fold, and what the others have to learn from.
type part struct{ learn, test []sample }

func parts(rows []pattern, features []feature) []part {
	var list []part
	for fold := range folds {
		inFold := func(r pattern) bool { return r.fold == fold }
		test := slices.DeleteFunc(slices.Clone(rows), func(r pattern) bool { return !inFold(r) })
		rest := slices.DeleteFunc(slices.Clone(rows), inFold)
		if len(test) > 0 && len(rest) > 0 {
			list = append(list, part{samples(rest, features, true), samples(test, features, false)})
		}
	}
	return list
}

// losses returns the loss in each fold of the model that the others give.
func losses(parts []part, penalties []float64) []float64 {
	var list []float64
	for _, p := range parts {
		list = append(list, fitLogit(p.learn, penalties).loss(p.test))
	}
	return list
}

// gain returns the loss that a feature saves in the folds that it was not fitted on, whether the fit has it or
// not. A new rule, or a pair of rules, earns its weight with at least minNew networks of spam and a gain of
// more than one standard error.
func (f *fit) gain(rows []pattern, of feature) estimate {
	i := slices.IndexFunc(f.features, func(g feature) bool { return slices.Equal(g.rules, of.rules) })
	if i >= 0 {
		without := slices.Delete(slices.Clone(f.features), i, i+1)
		return difference(losses(parts(rows, without), penalties(without, f.λ)), f.chosen)
	}
	with := append(slices.Clone(f.features), of)
	return difference(f.chosen, losses(parts(rows, with), penalties(with, f.λ)))
}

// estimate is a mean over the folds, with its standard error.
type estimate struct{ mean, err float64 }

func meanOf(list []float64) estimate {
	var e estimate
	n := float64(len(list))
	for _, v := range list {
		e.mean += v / n
	}
	for _, v := range list {
		e.err += (v - e.mean) * (v - e.mean)
	}
	e.err = math.Sqrt(e.err / n / (n - 1))
	return e
}

// difference compares losses fold by fold: folds differ more among each other than models do.
func difference(a, b []float64) estimate {
	list := slices.Clone(a)
	for i := range list {
		list[i] -= b[i]
	}
	return meanOf(list)
}
