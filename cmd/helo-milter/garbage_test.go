package main

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// What a burst leaves behind is collected when nothing happens any more, and once only.
func TestTidy(t *testing.T) {
	t.Setenv("GOGC", "")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go tidy(ctx)
		for range restMany {
			go func() { <-ctx.Done() }()
		}
		forced := func() uint32 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.NumForcedGC
		}
		time.Sleep(2*restEvery + time.Millisecond)
		synctest.Wait()
		before := forced()
		for _, burst := range []struct {
			bytes int
			want  uint32
		}{{2 * restWorth, 1}, {restWorth / 2, 1}, {restWorth, 2}} {
			runtime.KeepAlive(make([]byte, burst.bytes))
			time.Sleep(10 * restEvery)
			synctest.Wait()
			if got := forced() - before; got != burst.want {
				t.Errorf("after %d bytes: %d collections, want %d", burst.bytes, got, burst.want)
			}
		}
		cancel()
		synctest.Wait()
	})
}
