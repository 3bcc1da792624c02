package replay

import (
	"context"
	"iter"
	"sync"
)

// ordered calls do for each value of in, up to n at a time, and yields the results in the order of in, until
// ctx ends. in runs in a goroutine of its own; all goroutines have ended when the returned sequence has.
func ordered[A, B any](ctx context.Context, n int, in iter.Seq[A], do func(A) B) iter.Seq[B] {
	return func(yield func(B) bool) {
		queue, stop := make(chan chan B, n), make(chan struct{})
		var running sync.WaitGroup
		defer running.Wait()
		defer close(stop)
		running.Go(func() {
			defer close(queue)
			for a := range in {
				result := make(chan B, 1)
				select {
				case queue <- result:
				case <-stop:
					return
				}
				running.Go(func() { result <- do(a) })
			}
		})
		for result := range queue {
			if b := <-result; ctx.Err() != nil || !yield(b) {
				return
			}
		}
	}
}
