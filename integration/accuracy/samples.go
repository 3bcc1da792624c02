package main

import "slices"

// samples turns patterns into samples. Those to learn from have half a vote of ham more in each corpus, which
// fails one hard rule and nothing else: where no ham fails one, the weight would have no bound.
func samples(rows []pattern, features []feature, learn bool) []sample {
	votes, total := map[side]float64{}, 0.0
	for _, r := range rows {
		votes[r.side] += float64(r.votes)
		total += float64(r.votes)
	}
	var list []sample
	for _, r := range rows {
		mass := total / float64(len(votes)) * float64(r.votes) / votes[r.side] / 2
		for _, leaning := range []bool{true, false} {
			list = add(list, countsOf(features, r.hits, leaning), r.ham, mass)
		}
	}
	if learn {
		hard := []hit{{rule: features[0].rules[0]}}
		for _, s := range sides() {
			if s.ham && votes[s] > 0 {
				list = add(list, countsOf(features, hard, true), true, total/float64(len(votes))/votes[s]/2)
			}
		}
	}
	return list
}

// countsOf returns the counts of the intercept and of the features.
func countsOf(features []feature, hits []hit, leaning bool) []float64 {
	list := []float64{1}
	for i := range features {
		list = append(list, features[i].count(hits, leaning))
	}
	return list
}

// add adds mass to the sample of the same counts.
func add(list []sample, counts []float64, ham bool, mass float64) []sample {
	i := slices.IndexFunc(list, func(s sample) bool { return slices.Equal(s.counts, counts) })
	if i < 0 {
		i = len(list)
		list = append(list, sample{counts: counts})
	}
	if ham {
		list[i].ham += mass
	} else {
		list[i].spam += mass
	}
	return list
}
