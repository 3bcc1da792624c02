// Package wilson says how much a share that was counted can be believed.
package wilson

import "math"

// Interval returns the 95 % score interval of a share of k in n (E. B. Wilson, JASA 22 (1927) 209): unlike
// the textbook's, it says something about 0 in n, and it is not as wide as the exact one (L. D. Brown, T. T. Cai
// and A. DasGupta, Statistical Science 16 (2001) 101).
func Interval(k, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959963984540054 // the normal distribution's 97.5 % quantile
	share, size := float64(k)/float64(n), float64(n)
	middle := share + z*z/(2*size)
	half := z * math.Sqrt(share*(1-share)/size+z*z/(4*size*size))
	low, high = (middle-half)/(1+z*z/size), (middle+half)/(1+z*z/size)
	if k == 0 {
		low = 0 // not a rounding error more
	}
	if k == n {
		high = 1
	}
	return low, high
}
