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

// gain returns the loss that one feature more saves in the folds that it was not fitted on. A new rule, or a
// pair of rules, earns its weight with at least minNew networks of spam and a gain of more than one standard
// error.
func gain(rows []pattern, features []feature, more feature, λ float64) estimate {
	without := losses(parts(rows, features), penalties(features, λ))
	features = append(slices.Clone(features), more)
	return difference(without, losses(parts(rows, features), penalties(features, λ)))
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
