package main

import "math"

// sample is what a logistic regression learns from: how often each feature occurred, all together, and how
// much ham and spam there was of that.
type sample struct {
	counts    []float64 // by feature
	ham, spam float64
}

// logit is a model: the log odds of spam are the sum of the features' weights, each times its count. Feature
// 0 has the count 1 everywhere, and its weight is the intercept.
type logit []float64

// tolerance is the largest step in the last round: far below the 0.1 to which scores are rounded.
const tolerance = 1e-7

// fitLogit returns the model with the least
//
//	Σ loss(sample) + Σ penalty/2 · weight²
//
// among those in which no weight but the intercept is negative. Penalties are by feature. The sum is convex.
// It is minimised by one Newton step for each weight in turn, until a round moves nothing. A step is at most
// 1, so that none overshoots (A. Genkin, D. D. Lewis and D. Madigan, Technometrics 49 (2007) 291), and stops
// at 0.
func fitLogit(samples []sample, penalties []float64) logit {
	m := make(logit, len(penalties))
	odds := make([]float64, len(samples))
	for moved := math.Inf(1); moved > tolerance; {
		moved = 0
		for j, penalty := range penalties {
			slope, curve := penalty*m[j], penalty
			for i, s := range samples {
				if x := s.counts[j]; x != 0 {
					p, mass := 1/(1+math.Exp(-odds[i])), s.ham+s.spam
					slope += x * (mass*p - s.spam)
					curve += x * x * mass * p * (1 - p)
				}
			}
			if curve == 0 {
				continue // no sample has the feature
			}
			step := min(max(-slope/curve, -1), 1)
			if j > 0 {
				step = max(step, -m[j])
			}
			m[j] += step
			moved = max(moved, math.Abs(step))
			for i, s := range samples {
				odds[i] += step * s.counts[j]
			}
		}
	}
	return m
}

// loss returns the mean logarithmic loss of samples in nats: log 2 is that of a model that knows nothing.
func (m logit) loss(samples []sample) float64 {
	sum, mass := 0.0, 0.0
	for _, s := range samples {
		odds := 0.0
		for j, weight := range m {
			odds += weight * s.counts[j]
		}
		sum += s.spam*softplus(-odds) + s.ham*softplus(odds)
		mass += s.spam + s.ham
	}
	return sum / mass
}

// softplus is log(1 + eˣ), without overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
