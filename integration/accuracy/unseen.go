package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// unseen is a vote with the score that it would have if scores had been fitted without its network and its
// whole fold.
type unseen struct {
	vote
	score float64
}

// unseenVotes returns them from the highest score to the lowest.
func unseenVotes(votes []vote) ([]unseen, error) {
	var list []unseen
	for fold := range folds {
		rest := slices.DeleteFunc(slices.Clone(votes), func(v vote) bool { return v.fold == fold })
		f, err := newFit(newPatterns(rest))
		if err != nil {
			return nil, fmt.Errorf("without fold %d: %w", fold, err)
		}
		for _, v := range votes {
			if v.fold == fold {
				list = append(list, unseen{v, f.score(parseHits(v.fails))})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b unseen) int { return cmp.Compare(b.score, a.score) })
	return list, nil
}

// score returns the sum for a client whose HELO name is elsewhere.
func (f *fit) score(hits []hit) float64 {
	sum := 0.0
	for _, h := range hits {
		sum += f.scores[h.rule]
	}
	return math.Round(sum*1e6) / 1e6
}

// catch returns the percentage of spam hops at or over the lowest threshold that at most a percentage of the
// ham hops reaches. times says how often a network counts.
func catch(list []unseen, times func(netip.Prefix) int, percent float64) float64 {
	ham, spam := 0, 0
	for _, u := range list {
		if u.ham {
			ham += u.hops * times(u.network)
		} else {
			spam += u.hops * times(u.network)
		}
	}
	hit, caught, best := 0, 0, 0
	for i, u := range list {
		if u.score == 0 || 100*float64(hit) > percent*float64(ham) {
			break
		}
		if u.ham {
			hit += u.hops * times(u.network)
		} else {
			caught += u.hops * times(u.network)
		}
		last := i+1 == len(list) || list[i+1].score < u.score
		if last && 100*float64(hit) <= percent*float64(ham) {
			best = caught
		}
	}
	return 100 * float64(best) / float64(max(spam, 1))
}

// resamples is the number of times that networks are drawn for an interval.
const resamples = 1000

// interval returns the 95 % bootstrap interval of catch. Networks are drawn, with replacement, because the
// hops of one are not independent of each other. The draws are the same each time.
func interval(list []unseen, percent float64) (low, high float64) {
	place := map[netip.Prefix]int{}
	for _, u := range list {
		if _, ok := place[u.network]; !ok {
			place[u.network] = len(place)
		}
	}
	random := rand.New(rand.NewPCG(14, 3))
	var shares []float64
	for range resamples {
		drawn := make([]int, len(place))
		for range drawn {
			drawn[random.IntN(len(drawn))]++
		}
		shares = append(shares, catch(list, func(n netip.Prefix) int { return drawn[place[n]] }, percent))
	}
	slices.Sort(shares)
	return shares[resamples*25/1000], shares[resamples*975/1000-1]
}

// share is how many hops and networks of a side a threshold hits.
type share struct{ hops, ofHops, networks, ofNetworks int }

func hitAt(list []unseen, of side, at float64) share {
	var r share
	all, hit := map[netip.Prefix]bool{}, map[netip.Prefix]bool{}
	for _, u := range list {
		if u.side == of {
			all[u.network] = true
			r.ofHops += u.hops
			if u.score >= at {
				hit[u.network] = true
				r.hops += u.hops
			}
		}
	}
	r.networks, r.ofNetworks = len(hit), len(all)
	return r
}
