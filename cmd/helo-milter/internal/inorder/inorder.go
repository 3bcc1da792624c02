// Package inorder does work in several goroutines and hands over its results in the order of what they are of.
package inorder

import (
	"iter"
	"sync"
)

// Map yields a result for each value of in, in the order of in. start returns the result, or work that returns
// it, which runs in a goroutine of its own. At most n results wait or are being worked on at a time; in and
// start run in the goroutine of the caller. No goroutine is left when the sequence ends, by itself or early.
func Map[A, B any](n int, in iter.Seq[A], start func(A) (result B, work func() B)) iter.Seq[B] {
	return func(yield func(B) bool) {
		var running sync.WaitGroup
		defer running.Wait()
		var waiting []chan B // the oldest first; buffered for the result, so that no goroutine blocks
		for value := range in {
			result, work := start(value)
			if work == nil && len(waiting) == 0 {
				if !yield(result) {
					return
				}
				continue
			}
			if len(waiting) == n {
				if !yield(<-waiting[0]) {
					return
				}
				waiting = waiting[1:]
			}
			done := make(chan B, 1)
			waiting = append(waiting, done)
			if work == nil {
				done <- result
			} else {
				running.Go(func() { done <- work() })
			}
		}
		for _, done := range waiting {
			if !yield(<-done) {
				return
			}
		}
	}
}
