package replay

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

// What takes longest comes first, and still in its place; and no more is under way than may be.
func TestOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last int
		begin := time.Now()
		got := slices.Collect(ordered(t.Context(), 10, count(100, &last), func(i int) int {
			time.Sleep(time.Duration(100-i) * time.Millisecond)
			return i * i
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

// Who has seen enough ends it all, and does not read on.
func TestOrderedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last int
		for i := range ordered(t.Context(), 10, count(1_000_000, &last), func(i int) int { return i }) {
			if i == 100 {
				break
			}
		}
		if last > 120 {
			t.Errorf("read up to %d", last)
		}
	})
}
