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

// stage is a milter with an MTA in front of it and a sink behind, or a milter alone. Starting one costs many
// times what a session costs, so it is reused for one session after another: a reload gives the milter the
// configuration of each.
type stage struct {
	stageT
	key          string // stages with the same key are interchangeable
	http         string // the milter's /metrics
	milter       *rig.Milter
	sink         *rig.Sink
	server       rig.MTA
	cacheResets  int  // how often the milter has had to drop its DNS cache
	lookupFailed bool // the DNS cache holds a failure

	// The metrics before the session and after it, and its decisions, once it is settled: all are recorded.
	before, after map[string]float64
	settled       bool
	log           string
}

// stageT is the rig.T of a stage, which outlives the test that it was started for: errors are those of the
// test that uses the stage now, and cleanups wait until the stage is shut down.
type stageT struct {
	rig.T
	cleanups []func()
}

// Cleanup registers a function to be called when the stage is shut down.
func (t *stageT) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *stageT) shutdown() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
	t.cleanups = nil
}

// idle are the stages that no test uses, the longest idle first.
var idle struct {
	sync.Mutex
	stages []*stage
}

// maxIdle bounds the number of idle stages. Each has about ten processes.
const maxIdle = 24

// decisionLog names a file in the milter's directory.
const decisionLog = "decision_log = \"decisions\"\n"

// stage returns a stage with a clean slate, whose milter has that configuration. It is released at the end of
// the test, or shut down if the test fails.
func (v variant) stage(t *testing.T, config string, needs ...string) *stage {
	t.Helper()
	needs = slices.DeleteFunc(slices.Clone(needs), func(need string) bool { return need == "" })
	key := strings.Join(append([]string{v.mta, v.network}, needs...), "\n")
	s := idleStage(key)
	if s == nil {
		s = &stage{key: key, http: fmt.Sprintf("127.0.0.1:%d", rig.FreePort())}
	}
	s.T = t
	t.Cleanup(func() { s.release(t) })
	config = fmt.Sprintf("%s%s\n[http]\nlisten = %q\n", decisionLog, v.config(config), s.http)
	if s.milter == nil {
		s.milter = rig.NewMilter(s, v.socket(), config)
		// The race detector costs more than all else. The policy service is asked in no other way by the tests that have
		// it.
		s.milter.Plain = v.asksPolicy()
		s.milter.Start(s)
		if v.mta != "" {
			s.sink = rig.StartSink(s)
			s.server = rig.Start(s, v.mta, s.sink, s.milter.Socket, needs...)
		}
		return s
	}
	s.reset(config)
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

// reset discards logs and messages, and gives the milter another configuration. The DNS cache stays unless it
// holds a failure, which would affect the next session: a change of its size makes a new one.
func (s *stage) reset(config string) {
	s.Helper()
	s.milter.ResetLog()
	if s.server != nil {
		s.server.ResetLog()
		s.sink.Reset()
	}
	if err := os.Truncate(s.decisionLog(), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.Fatalf("%v", err)
	}
	if s.lookupFailed {
		s.cacheResets++
	}
	if !strings.Contains(config, "[dns]") {
		config += fmt.Sprintf("[dns]\ncache_entries = %d\n", 10_000+s.cacheResets)
	}
	s.milter.Configure(s, s.milter.AtSocket(config))
	s.milter.Reload(s)
	s.lookupFailed, s.settled = false, false
	s.before = s.after
}

// release makes the stage idle, or shuts it down if the test has failed.
func (s *stage) release(t *testing.T) {
	if t.Failed() {
		s.shutdown()
		return
	}
	for _, r := range parseRecords(t, s.decisions()) {
		failed := func(f checks.RuleFinding) bool { return f.Result == checks.Unsure }
		s.lookupFailed = s.lookupFailed || r.Iprev == "temperror" || slices.ContainsFunc(r.Findings, failed)
	}
	if t.Failed() {
		s.shutdown()
		return
	}
	var surplus []*stage
	idle.Lock()
	idle.stages = append(idle.stages, s)
	if n := len(idle.stages) - maxIdle; n > 0 {
		surplus = slices.Clone(idle.stages[:n])
		idle.stages = slices.Delete(idle.stages, 0, n)
	}
	idle.Unlock()
	for _, other := range surplus {
		other.T = t
		other.shutdown()
	}
}

func (s *stage) decisionLog() string { return filepath.Join(s.milter.Dir, "decisions") }

// decisions returns the decision log, once every transaction has been decided on and recorded. Each line must
// conform to the schema.
func (s *stage) decisions() string {
	s.Helper()
	if s.settled {
		return s.log
	}
	if s.milter.IsFilter() {
		rig.Eventually(s, func() error {
			if rig.Metrics(s, s.http)["helo_milter_connections"] != 0 {
				return errors.New("smtpd has a session")
			}
			return nil
		})
	} else {
		s.milter.WaitDisconnected(s)
	}
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
	checkSchema(s, s.log)
	s.settled = true
	return s.log
}

// counted returns by how much a metric grew in the session. It is valid after decisions.
func (s *stage) counted(series string) float64 { return s.after[series] - s.before[series] }

// withStages shuts the stages down after the tests.
type withStages struct{ *testing.M }

func (w withStages) Run() int {
	code := w.M.Run()
	t := &afterTests{}
	for _, s := range idle.stages {
		s.T = t
		s.shutdown()
	}
	if t.failed {
		return 1
	}
	return code
}

// afterTests is a rig.T for what happens after the tests: it reports errors on standard error.
type afterTests struct{ failed bool }

func (*afterTests) Helper()        {}
func (*afterTests) Cleanup(func()) {}

func (t *afterTests) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	t.failed = true
}

func (t *afterTests) Fatalf(format string, args ...any) { t.Errorf(format, args...) }
