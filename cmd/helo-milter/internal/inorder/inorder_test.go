package inorder

import (
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func count(n int, last *int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			*last = i
			if !yield(i) {
				return
			}
		}
	}
}

// Results come in order although the first take longest and every third is there at once, and work is done
// concurrently.
func TestMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last int
		begin := time.Now()
		got := slices.Collect(Map(10, count(100, &last), func(i int) (int, func() int) {
			if i%3 == 0 {
				return i * i, nil
			}
			return 0, func() int {
				time.Sleep(time.Duration(100-i) * time.Millisecond)
				return i * i
			}
		}))
		for i, square := range got {
			if square != i*i {
				t.Fatalf("at %d: %d", i, square)
			}
		}
		if took := time.Since(begin); len(got) != 100 || took > time.Second {
			t.Errorf("%d values in %v", len(got), took)
		}
	})
}

// Breaking out of the loop ends all goroutines, and stops reading.
func TestMapBreak(t *testing.T) {
	var last int
	for i := range Map(10, count(1_000_000, &last), func(i int) (int, func() int) { return 0, func() int { return i } }) {
		if i == 100 {
			break
		}
	}
	if last > 120 {
		t.Errorf("read up to %d", last)
	}
}
