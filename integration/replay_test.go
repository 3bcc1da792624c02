package integration

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"helo-milter/checks"
	"helo-milter/integration/rig"
)

// recordSchema is the published schema of a decision record.
var recordSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	return compiler.Compile("../examples/decision-record.schema.json")
})

// checkSchema validates each line of a decision log.
func checkSchema(t rig.T, log string) {
	t.Helper()
	schema, err := recordSchema()
	if err != nil {
		t.Fatalf("%v", err)
	}
	for line := range strings.Lines(log) {
		record, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(record)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, line)
		}
	}
}

// records returns the session's decision records.
func (s *session) records() []*checks.Record {
	s.Helper()
	return parseRecords(s.T, s.stage.decisions())
}

func parseRecords(t *testing.T, lines string) (list []*checks.Record) {
	t.Helper()
	for line := range strings.Lines(lines) {
		r := new(checks.Record)
		if err := json.Unmarshal([]byte(line), r); err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		list = append(list, r)
	}
	return list
}

// record returns the only one.
func (s *session) record() *checks.Record {
	s.Helper()
	list := s.records()
	if len(list) != 1 {
		s.Fatalf("%d records", len(list))
	}
	return list[0]
}

// decisionReplay collects decision logs by the configuration that they were made with, to replay them.
type decisionReplay struct {
	mu   sync.Mutex
	logs map[string]string
}

// add adds the decisions of a session.
func (d *decisionReplay) add(s *session, config string) {
	s.Helper()
	log := s.stage.decisions()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logs[s.config(config)] += log
}

// run replays all of them: under the same configuration, the records are the same, byte for byte. What the
// strict profile would refuse of those under the standard one is in testdata/newly-refused.golden.
func (d *decisionReplay) run(t *testing.T) {
	t.Helper()
	lines, newly := 0, map[string]bool{}
	for config, log := range d.logs {
		if got := replayed(t, config, log); got != log {
			t.Errorf("replay under\n%s\ndiffers from the decisions:\n%s", config, firstDifference(log, got))
		}
		lines += strings.Count(log, "\n")
		if observe := (variant{mode: "observe"}); config == observe.config("") {
			newlyRefused(t, newly, log, replayed(t, observe.config(strict), log))
		}
	}
	t.Logf("%d decisions of %d configurations", lines, len(d.logs))
	if pattern := flag.Lookup("test.run").Value.String(); strings.Contains(pattern, "/") {
		return // not all stories were run
	}
	golden(t, "testdata/newly-refused.golden", strings.Join(slices.Sorted(maps.Keys(newly)), ""))
}

// replayed returns what `replay --json` makes of a decision log, without DNS.
func replayed(t *testing.T, config, log string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "helo-milter.toml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	replay := rig.Command(t.Context(), t, "--config", file, "replay", "--json", "-")
	replay.Stdin = strings.NewReader(log)
	out, err := replay.Output()
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	return string(out)
}

// newlyRefused adds the clients that are refused now and were not.
func newlyRefused(t *testing.T, newly map[string]bool, then, now string) {
	t.Helper()
	after := parseRecords(t, now)
	for i, a := range parseRecords(t, then) {
		if b := after[i]; a.Verdict.Want != b.Verdict.Want {
			newly[fmt.Sprintf("%s %q: %s, now %s by %s\n", a.Client, a.Helo.Raw, a.Verdict.Want, b.Verdict.Want,
				b.Verdict.Rule)] = true
		}
	}
}

func firstDifference(a, b string) string {
	other := strings.Split(b, "\n")
	for i, line := range strings.Split(a, "\n") {
		if i >= len(other) || line != other[i] {
			return line + "\n" + strings.Join(other[min(i, len(other)-1):min(i+1, len(other))], "")
		}
	}
	return "there are more lines now"
}
