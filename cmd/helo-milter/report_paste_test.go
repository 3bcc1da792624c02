package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
)

// The lines to paste are a configuration that refuses for the recommended rules, and for no other rule with
// hits.
func TestReportPaste(t *testing.T) {
	file := decisionLog(t, healthy)
	text, _ := report(t, exitDone, "--json", file)
	var r struct {
		Sections []struct {
			TOML   string
			Ladder []struct {
				Rule, Advice string
				Hits         int
				Enforced     bool
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil || len(r.Sections) != 1 {
		t.Fatal(err, len(r.Sections))
	}
	paste := r.Sections[0].TOML
	cfg, err := config.Parse("paste", []byte(paste))
	if err != nil {
		t.Fatalf("%v\n%s", err, paste)
	}
	recommended := 0
	for _, step := range r.Sections[0].Ladder {
		refuses := cfg.Judge.Policy.Actions[checks.Index(step.Rule)] == checks.Reject
		if step.Hits > 0 && refuses != (step.Advice == "enforce") || step.Enforced {
			t.Errorf("%+v is pasted as %t", step, refuses)
		}
		recommended += strings.Count(step.Advice, "enforce")
	}
	if recommended < 3 || cfg.Mode != checks.Enforce || cfg.Profile != checks.Careful {
		t.Errorf("%d rules are recommended\n%s", recommended, paste)
	}
	pasted := filepath.Join(t.TempDir(), "helo-milter.toml")
	if err := os.WriteFile(pasted, []byte(paste), 0o600); err != nil {
		t.Fatal(err)
	}
	text, _ = report(t, exitDone, "--config", pasted, file)
	if got := strings.Count(text, "enforce*"); got != recommended {
		t.Errorf("%d rules are said to be enforced already, want %d\n%s", got, recommended, text)
	}
}

// ladder is the part of a report in JSON about what to paste.
type ladder struct {
	Sections []struct {
		TOML    string
		Enforce int `json:"enforce_clients"`
	}
}

// Whatever configuration the lines are pasted into, and whichever has judged the mail, they refuse as many
// clients as the report says. Each line is a configuration, and a part of what is to be pasted into it.
func TestReportPasteInto(t *testing.T) {
	t.Parallel()
	defaults, defaultLog := judgedBy(t, "")
	for _, tt := range []struct{ config, has string }{
		{"", `helo-bare-ip = "reject"`},
		{"mode = 'enforce'\nprofile = 'careful'", "already enforced"},
		{"profile = 'strict'", `helo-literal = "mark"`},
		{"[rules]\nptr-missing = 'reject'", `ptr-missing = "mark"`},
		{"[rules]\nptr-missing = 'tempfail'\nhelo-ptr-mismatch = 'reject'", `helo-ptr-mismatch = "mark"`},
		{"[rules]\nhelo-malformed = 'reject'\nptr-many = 'reject'", `helo-malformed = "mark"`},
		{"[rules]\nhelo-bare-ip = 'off'\nhelo-numeric = 'off'\nhelo-not-fqdn = 'off'", `helo-numeric = "off"`},
		{"[rules]\nhelo-missing = 'off'\nptr-denied = 'tempfail'", `helo-missing = "off"`},
		{"[scores]\nreject_at = 1.5", "reject_at = 0"},
		{"[scores]\ntempfail_at = 0.5\nptr-missing = 9", "tempfail_at = 0"},
		{"on_dns_error = 'tempfail'", "on_dns_error is unchanged"},
		{
			"mode = 'enforce'\non_dns_error = 'tempfail'\nprofile = 'strict'\n" +
				"[rules]\nptr-unconfirmed = 'reject'\n[scores]\nreject_at = 0.1\ntempfail_at = 0.1",
			"[scores]",
		},
	} {
		before := filepath.Join(t.TempDir(), "before.toml")
		writeFile(t, before, tt.config)
		for _, byDefault := range []bool{true, false} {
			records, log := defaults, defaultLog
			if !byDefault {
				records, log = judgedBy(t, before)
			}
			text, _ := reportOn(t, strings.NewReader(log), exitDone, "--config", before, "--json", "-")
			var r ladder
			if err := json.Unmarshal([]byte(text), &r); err != nil || len(r.Sections) != 1 {
				t.Fatal(err, len(r.Sections))
			}
			paste, promised := r.Sections[0].TOML, r.Sections[0].Enforce
			if !strings.Contains(paste, tt.has) || promised < 15 {
				t.Errorf("%q: %d are promised to be refused by\n%s", tt.config, promised, paste)
			}
			for _, whole := range []bool{true, false} {
				after := overlay(t, tt.config, paste, whole)
				if got := refusedBy(t, after, records); got != promised {
					t.Errorf("%d are refused, want %d, by\n%s", got, promised, after)
				}
			}
		}
	}
}

// judgedBy returns the records of healthy as judged by a configuration, and the log that they make.
func judgedBy(t *testing.T, file string) (list []*checks.Record, log string) {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range healthy {
		list = append(list, c.records(cfg.Judge.Policy)...)
	}
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintln(&b, r)
	}
	return list, b.String()
}

// refusedBy returns how many clients a configuration refuses.
func refusedBy(t *testing.T, text string, records []*checks.Record) int {
	t.Helper()
	cfg, err := config.Parse("after", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	judge, refused := cfg.Judge, map[netip.Addr]bool{}
	for _, r := range records {
		if again := judge.Again(r); again != nil && again.Verdict.Did == "reject" {
			refused[r.Client] = true
		}
	}
	return len(refused)
}

// overlay replaces keys of one TOML text by those of another, or whole tables.
func overlay(t *testing.T, config, paste string, whole bool) string {
	t.Helper()
	under, over := map[string]any{}, map[string]any{}
	for text, doc := range map[string]map[string]any{config: under, paste: over} {
		if err := toml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	for key, value := range over {
		table, isTable := under[key].(map[string]any)
		if keys, ok := value.(map[string]any); ok && isTable && !whole {
			maps.Copy(table, keys)
		} else {
			under[key] = value
		}
	}
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(under); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
