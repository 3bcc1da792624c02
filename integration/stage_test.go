package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"helo-milter/checks"
	"helo-milter/integration/rig"
)

// stage is a milter with an MTA in front of it and a sink behind, or a milter alone. To start them costs many
// times what a session costs, so one session after the other is held on the same stage: the milter gets each
// one's configuration by a reload.
type stage struct {
	keeper
	key    string
	http   string // the milter's /metrics
	milter *rig.Milter
	sink   *rig.Sink
	server rig.MTA
	clean  int  // how often the milter has had to forget what it knew of the DNS
	doubts bool // a lookup failed, and that is remembered

	// The metrics before the session and after, and its decisions, once there are all.
	before, after map[string]float64
	settled       bool
	log           string
}

// keeper is the rig's T of a stage, which outlives the test that it was started for: what goes wrong is told
// to the test that uses it now, and what is to be cleaned up waits for the end of the stage.
type keeper struct {
	rig.T
	ends []func()
}

// Cleanup has something done at the end of the stage.
func (k *keeper) Cleanup(end func()) { k.ends = append(k.ends, end) }

func (k *keeper) end() {
	for _, end := range slices.Backward(k.ends) {
		end()
	}
	k.ends = nil
}

// idle are the stages that nobody uses, the one that has waited longest first.
var idle struct {
	sync.Mutex
	stages []*stage
}

// mostIdle is how many stages may wait. Each has some ten processes.
const mostIdle = 24

// take returns a stage on which nothing has happened, with a milter of that configuration. It goes back when
// the test is over, or ends, when the test has failed.
func (w way) take(t *testing.T, config string, needs ...string) *stage {
	t.Helper()
	needs = slices.DeleteFunc(slices.Clone(needs), func(need string) bool { return need == "" })
	key := strings.Join(append([]string{w.mta, w.network}, needs...), "\n")
	s := idleStage(key)
	if s == nil {
		s = &stage{key: key, http: fmt.Sprintf("127.0.0.1:%d", rig.FreePort())}
	}
	s.T = t
	t.Cleanup(func() { s.giveBack(t) })
	config = fmt.Sprintf("%s%s\n[http]\nlisten = %q\n", decisionLog, w.config(config), s.http)
	if s.milter == nil {
		s.milter = rig.StartMilter(s, w.network, config)
		if w.mta != "" {
			s.sink = rig.StartSink(s)
			s.server = rig.Start(s, w.mta, s.sink, s.milter.Socket, needs...)
		}
		return s
	}
	s.clear(config)
	return s
}

func idleStage(key string) *stage {
	idle.Lock()
	defer idle.Unlock()
	i := slices.IndexFunc(idle.stages, func(s *stage) bool { return s.key == key })
	if i < 0 {
		return nil
	}
	s := idle.stages[i]
	idle.stages = slices.Delete(idle.stages, i, i+1)
	return s
}

// clear forgets what has happened, and gives the milter another configuration. What it knows of the DNS stays,
// unless there is a failure among it, which the next client would feel: a cache of another size is a new one.
func (s *stage) clear(config string) {
	s.Helper()
	s.milter.Mark()
	if s.server != nil {
		s.server.Mark()
		s.sink.Forget()
	}
	if err := os.Truncate(s.decisionLog(), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.Fatalf("%v", err)
	}
	if s.doubts {
		s.clean++
	}
	if !strings.Contains(config, "[dns]") {
		config += fmt.Sprintf("[dns]\ncache_entries = %d\n", 10_000+s.clean)
	}
	s.milter.Configure(s, s.milter.AtSocket(config))
	s.milter.Reload(s)
	s.doubts, s.settled = false, false
	s.before = s.after
}

func (s *stage) giveBack(t *testing.T) {
	if t.Failed() {
		s.end()
		return
	}
	for _, r := range parseRecords(t, s.decisions()) {
		failed := func(f checks.RuleFinding) bool { return f.Result == checks.Unsure }
		s.doubts = s.doubts || r.Iprev == "temperror" || slices.ContainsFunc(r.Findings, failed)
	}
	if t.Failed() {
		s.end()
		return
	}
	var tooMany []*stage
	idle.Lock()
	idle.stages = append(idle.stages, s)
	if n := len(idle.stages) - mostIdle; n > 0 {
		tooMany = slices.Clone(idle.stages[:n])
		idle.stages = slices.Delete(idle.stages, 0, n)
	}
	idle.Unlock()
	for _, other := range tooMany {
		other.T = t
		other.end()
	}
}

func (s *stage) decisionLog() string { return filepath.Join(s.milter.Dir, "decisions") }

// decisions are the lines of the decision log, once all that was said to the milter has been decided on and
// recorded. Each is what the schema says.
func (s *stage) decisions() string {
	s.Helper()
	if s.settled {
		return s.log
	}
	s.milter.Quiet(s)
	s.after = rig.Metrics(s, s.http)
	const decisions = "helo_milter_decisions_total"
	decided := rig.Sum(s.after, decisions) - rig.Sum(s.before, decisions)
	rig.Eventually(s, func() error {
		text, err := os.ReadFile(s.decisionLog())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		s.log = string(text)
		if recorded := strings.Count(s.log, "\n"); decided != float64(recorded) {
			return fmt.Errorf("%v decisions, %d records", decided, recorded)
		}
		return nil
	})
	conforms(s, s.log)
	s.settled = true
	return s.log
}

// counted is by how much a metric has grown in the session, once there are its decisions.
func (s *stage) counted(series string) float64 { return s.after[series] - s.before[series] }

// withStages ends the stages after the tests.
type withStages struct{ *testing.M }

func (w withStages) Run() int {
	code := w.M.Run()
	told := &teller{}
	for _, s := range idle.stages {
		s.T = told
		s.end()
	}
	if told.failed {
		return 1
	}
	return code
}

// teller is a T after the tests.
type teller struct{ failed bool }

func (*teller) Helper()        {}
func (*teller) Cleanup(func()) {}

func (t *teller) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	t.failed = true
}

func (t *teller) Fatalf(format string, args ...any) { t.Errorf(format, args...) }
