package wilson_test

import (
	"math"
	"testing"

	"helo-milter/checks/wilson"
)

// The first four are of Table I in R. G. Newcombe, Statistics in Medicine 17 (1998) 857, method 3.
func TestInterval(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
		{0, 2180, 0, 0.0018}, // z²/(n+z²)
		{20, 20, 0.8389, 1},  // the mirror of 0 in 20
		{0, 0, 0, 1},
	} {
		low, high := wilson.Interval(c.k, c.n)
		if math.Abs(low-c.low) > 0.00005 || math.Abs(high-c.high) > 0.00005 {
			t.Errorf("%d in %d: %.4f to %.4f; want %.4f to %.4f", c.k, c.n, low, high, c.low, c.high)
		}
	}
}
