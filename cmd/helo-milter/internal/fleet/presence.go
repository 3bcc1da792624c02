package fleet

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// presenceEvery is how often a host says that it is there.
	presenceEvery = 5 * time.Second
	// absentFor is how long a host is remembered that says nothing: as long as its stream.
	absentFor = streamDays + 24*time.Hour
)

// Presence says again and again that this host is there, and learns whether the server is.
type Presence struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// NewPresence begins. onAnswer is called with the result of each time, nil where the server has answered. Close must be
// called.
func NewPresence(s *Server, onAnswer func(error)) *Presence {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Presence{cancel, make(chan struct{})}
	go func() {
		defer close(p.ended)
		every := time.NewTicker(presenceEvery)
		defer every.Stop()
		for {
			if err := s.present(ctx, time.Now()); ctx.Err() == nil {
				onAnswer(err)
			}
			select {
			case <-every.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return p
}

// Close ends it.
func (p *Presence) Close() {
	p.stop()
	<-p.ended
}

// present notes this host, and forgets those that have gone.
func (s *Server) present(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, s.key("hosts"), redis.Z{Score: float64(now.Unix()), Member: s.host})
		p.ZRemRangeByScore(ctx, s.key("hosts"), "-inf", strconv.FormatInt(now.Add(-absentFor).Unix(), 10))
		return nil
	})
	return err
}
