package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
)

// greeted is the decision about a client on the allow list, some days ago.
func greeted(days int, helo string) *checks.Decision {
	f := &checks.Facts{
		Client: netip.MustParseAddr("203.0.113.9"), PTR: checks.Answer[checks.Host]{Status: checks.Missing},
		Greetings: []checks.Greeting{{Helo: checks.ParseHelo(helo)}},
	}
	return &checks.Decision{
		ID: fmt.Sprint("session", days, helo), Facts: f, Time: time.Now().AddDate(0, 0, -days),
		Verdict: checks.Verdict{Exempt: checks.AllowList},
	}
}

const needed = "[[allow]]\nnetwork = \"203.0.113.0/24\"\nuntil = \"mended\"\n"

// What is known of an entry goes through a reload, if the configuration is the same or nothing was written down; a
// fault makes the entry needed again; and an error of ours ends nothing.
func TestMended(t *testing.T) {
	var log bytes.Buffer
	m, panics := newMended(), 0
	m.log, m.onPanic = slog.New(slog.NewTextHandler(&log, nil)), func(any, []byte) { panics++ }
	dir := t.TempDir()
	file, pipe := filepath.Join(dir, "decisions.jsonl"), filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := func(days int, helo string) string { return greeted(days, helo).Record(false).String() + "\n" }
	if err := os.WriteFile(file, []byte(written(30, "mail.example.org")+written(29, "0x7f1")+
		written(20, "friend")+"broken\n"+written(18, "mail.example.org")), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		use, decide string // a configuration, or the days and the HELO of sessions
		count, told int    // afterwards
	}{
		{"", "20 18 16 14 1 friend", 0, 0}, // no configuration yet
		{"log = \"json\"\n", "20 18 16 14 1 friend", 0, 0},
		{needed, "20 18 16 14 friend", 0, 0},
		{"", "12 friend", 1, 1},
		{"", "11 friend", 1, 1}, // not once more
		{needed, "", 1, 1},
		{"timeout = \"4s\"\n" + needed, "", 1, 1},
		{fmt.Sprintf("decision_log = %q\n", pipe) + needed, "", 1, 1},                       // and nobody reads the pipe
		{fmt.Sprintf("decision_log = %q\n", file) + needed, "", 0, 1},                       // which has two sessions
		{"", "15 14 3 friend", 1, 1},                                                        // not once more
		{fmt.Sprintf("profile = \"strict\"\ndecision_log = %q\n", file) + needed, "", 0, 1}, // friend is a fault there
		{"", "10 friend", 0, 1},
		{"log = \"json\"\n", "", 0, 1},
		{needed, "16 15 14 13 12 friend", 1, 1},
		{"", "-1 0x7f1", 0, 1},
	} {
		if step.use != "" {
			cfg, err := config.Parse("test", []byte(step.use))
			if err != nil {
				t.Fatal(err)
			}
			if m.use(cfg); m.ended != nil {
				<-m.ended
			}
		}
		words := strings.Fields(step.decide)
		for _, days := range words[:max(0, len(words)-1)] {
			n := 0
			fmt.Sscan(days, &n)
			m.decided(greeted(n, words[len(words)-1]))
		}
		told := strings.Count(log.String(), `msg="allow entry: not needed any more" clients=203.0.113.0/24 reason="" since=`)
		if n := m.count(); n != step.count || told != step.told {
			t.Errorf("step %d: %d entries, told %d times, want %+v\n%s", i, n, told, step, log.String())
		}
	}
	if m.decided(&checks.Decision{Verdict: checks.Verdict{Exempt: checks.AllowList}}); panics != 1 {
		t.Errorf("%d panics were noted", panics)
	}
	m.close()
}
