package integration

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"helo-milter/checks"
	"helo-milter/integration/rig"
)

// decisions are the lines of the milters' decision logs by configuration.
type decisions struct {
	mu     sync.Mutex
	logs   map[string]string
	schema *jsonschema.Schema
}

func newDecisions(t *testing.T) *decisions {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("../examples/decision-record.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return &decisions{logs: map[string]string{}, schema: schema}
}

// keep takes the decisions of a session. They must be what the schema says.
func (d *decisions) keep(s *session, config string) {
	s.Helper()
	s.milter.Stop(s)
	log, err := os.ReadFile(filepath.Join(s.milter.Dir, "decisions"))
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		record, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = d.schema.Validate(record)
		}
		if err != nil {
			s.Errorf("%v\n%s", err, line)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logs[s.config(config)] += string(log)
}

// replay judges all of them again: the same configuration makes the same of them, byte for byte.
func (d *decisions) replay(t *testing.T) {
	t.Helper()
	lines, newly := 0, map[string]bool{}
	for config, log := range d.logs {
		if got := replayed(t, config, log); got != log {
			t.Errorf("replay under\n%s\nis not what was decided:\n%s", config, firstDifference(log, got))
		}
		lines += strings.Count(log, "\n")
		if config == (way{mode: "observe"}).config("") {
			newlyRefused(t, newly, log, replayed(t, config+strict+"\n", log))
		}
	}
	t.Logf("%d decisions of %d configurations", lines, len(d.logs))
	if only := flag.Lookup("test.run").Value.String(); only != "" {
		return // not all stories are there
	}
	golden(t, "testdata/strict.txt", strings.Join(slices.Sorted(maps.Keys(newly)), "")+"\n")
}

// replayed is what `replay --json` makes of a decision log, without any DNS.
func replayed(t *testing.T, config, log string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "helo-milter.toml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	replay := exec.Command(rig.Binary(), "--config", file, "replay", "--json", "-")
	replay.Stdin = strings.NewReader(log)
	out, err := replay.Output()
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	return string(out)
}

// newlyRefused notes who is refused now and was not.
func newlyRefused(t *testing.T, newly map[string]bool, then, now string) {
	t.Helper()
	after := strings.Split(now, "\n")
	for i, line := range strings.Split(strings.TrimSuffix(then, "\n"), "\n") {
		var a, b checks.Record
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(after[i]), &b); err != nil {
			t.Fatal(err)
		}
		if a.Verdict.Want != b.Verdict.Want {
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
	return "more lines than there were"
}
