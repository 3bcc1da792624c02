package fleet

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"helo-milter/checks"
)

const (
	// askTimeout is how long the answers to a batch of questions may take.
	askTimeout = 50 * time.Millisecond
	// After a batch without an answer nobody is asked for firstPause, and for twice as long after each other one, up to
	// lastPause.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
	// So many questions are asked at once, and so many wait at most. More are not asked.
	askBatch   = 100
	askWaiting = 1000
)

// What became of a question, see Census.OnAsked.
const (
	Answered = "answered"
	NoAnswer = "no-answer" // none in time, or an error
	NotAsked = "paused"    // since others had none
	TooMany  = "too-many"
)

// Results are all that can become of a question.
var Results = []string{Answered, NoAnswer, NotAsked, TooMany}

// Census asks the server what a fleet has seen: a checks.Census. All questions go through one goroutine, which asks as many
// at once as there are. Its methods may be called concurrently, except Close.
type Census struct {
	server    *Server
	timeout   time.Duration
	onAsked   func(result string)
	onTrouble func(error)
	questions chan question
	paused    atomic.Int64  // until when, in nanoseconds since 1970
	pause     time.Duration // the last one; 0 since an answer
	stop      context.CancelFunc
	ended     chan struct{}
}

// question is one about a client, or about a name that it says.
type question struct {
	client netip.Addr
	name   string
	names  chan<- checks.SeenClient // nil: it is about the name
	helo   chan<- checks.SeenHelo
}

// NewCensus begins to ask. onAsked is called with what became of each question, and onTrouble with each error of the
// server, both by several goroutines; nil is nobody. Close must be called, before the server's.
func NewCensus(s *Server, onAsked func(result string), onTrouble func(error)) *Census {
	return newCensus(s, askTimeout, onAsked, onTrouble)
}

// NewPatientCensus is one for a command that has time for an answer.
func NewPatientCensus(s *Server) *Census { return newCensus(s, ioTimeout, nil, nil) }

func newCensus(s *Server, timeout time.Duration, onAsked func(string), onTrouble func(error)) *Census {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Census{
		server: s, timeout: timeout, onAsked: onAsked, onTrouble: onTrouble,
		questions: make(chan question, askWaiting), stop: cancel, ended: make(chan struct{}),
	}
	go c.run(ctx)
	return c
}

// Close ends it: what is asked then is not answered.
func (c *Census) Close() {
	c.stop()
	<-c.ended
}

// Client implements checks.Census.
func (c *Census) Client(client netip.Addr) <-chan checks.SeenClient {
	answers := make(chan checks.SeenClient, 1)
	if !c.take(question{client: client, names: answers}) {
		close(answers)
	}
	return answers
}

// Helo implements checks.Census.
func (c *Census) Helo(client netip.Addr, name string) <-chan checks.SeenHelo {
	answers := make(chan checks.SeenHelo, 1)
	if !c.take(question{client: client, name: name, helo: answers}) {
		close(answers)
	}
	return answers
}

// take reports whether a question is going to be answered.
func (c *Census) take(q question) bool {
	if time.Now().UnixNano() < c.paused.Load() {
		c.asked(NotAsked)
		return false
	}
	select {
	case c.questions <- q:
		return true
	default:
		c.asked(TooMany)
		return false
	}
}

func (c *Census) asked(result string) {
	if c.onAsked != nil {
		c.onAsked(result)
	}
}

// run asks until the context ends.
func (c *Census) run(ctx context.Context) {
	defer close(c.ended)
	batch := make([]question, 0, askBatch)
	for {
		select {
		case q := <-c.questions:
			batch = append(batch[:0], q)
		case <-ctx.Done():
			return // what waits is garbage: nobody waits long
		}
	more:
		for len(batch) < askBatch {
			select {
			case q := <-c.questions:
				batch = append(batch, q)
			default:
				break more
			}
		}
		c.ask(ctx, batch)
	}
}

// reply are the commands of a question.
type reply struct {
	members *redis.StringSliceCmd
	first   *redis.FloatCmd // nil for a question about a client
}

func (r *reply) err() error {
	err := r.members.Err()
	if r.first != nil && err == nil && !errors.Is(r.first.Err(), redis.Nil) {
		err = r.first.Err()
	}
	return err
}

// ask asks a batch and answers it.
func (c *Census) ask(ctx context.Context, batch []question) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	replies := make([]reply, len(batch))
	recent := &redis.ZRangeBy{Min: since(time.Now()), Max: "+inf", Count: maxMembers}
	_, _ = c.server.client.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its error
		for i, q := range batch {
			who := c.server.key("client", q.client.String())
			if q.names != nil {
				replies[i].members = p.ZRangeByScore(ctx, who, recent)
				continue
			}
			replies[i].members = p.ZRangeByScore(ctx, c.server.key("helo", q.name), recent)
			replies[i].first = p.ZScore(ctx, who, memberFirst+q.name)
		}
		return nil
	})
	failed := 0
	for i := range batch {
		result := Answered
		if err := replies[i].err(); err != nil {
			result = NoAnswer
			if failed++; failed == 1 && c.onTrouble != nil {
				c.onTrouble(err)
			}
		}
		c.asked(result)
		batch[i].answer(&replies[i], result == Answered)
	}
	if failed < len(batch) {
		c.pause = 0
		return
	}
	c.pause = min(max(firstPause, 2*c.pause), lastPause)
	c.paused.Store(time.Now().Add(c.pause).UnixNano())
}

// answer sends what the server has said, if it has.
func (q *question) answer(r *reply, ok bool) {
	if q.names != nil {
		if ok {
			q.names <- checks.SeenClient{Names: starting(r.members.Val(), memberLast)}
		}
		close(q.names)
		return
	}
	if ok {
		seen := checks.SeenHelo{
			Networks:      starting(r.members.Val(), memberNetwork),
			Organisations: starting(r.members.Val(), memberOrganisation),
		}
		if at := r.first.Val(); at > 0 && at < 1<<40 {
			seen.Since = time.Unix(int64(at), 0).UTC()
		}
		q.helo <- seen
	}
	close(q.helo)
}

func starting(members []string, prefix string) (n int) {
	for _, m := range members {
		if strings.HasPrefix(m, prefix) {
			n++
		}
	}
	return n
}
