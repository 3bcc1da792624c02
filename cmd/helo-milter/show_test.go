package main

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"unicode"

	"helo-milter/checks/checkstest"
)

// A decision is found by its session id and by its queue id, in plain and packed logs, and is explained
// without the DNS.
func TestShow(t *testing.T) {
	records := ""
	for _, args := range [][]string{
		{"203.0.113.10", "mail.example.org"},
		{"203.0.113.66", "friend"},
		{"203.0.113.11", "spf.example.org"},
		{"203.0.113.14", "dead.example.org"},
	} {
		record, _ := ranOn(t, checkZone, "check", append([]string{"--json"}, args...)...)
		name := "s" + strings.ReplaceAll(args[0], ".", "")
		record = strings.ReplaceAll(record, `"id":"check"`, `"id":"`+name+`"`)
		record = strings.ReplaceAll(record, `"queue_id":""`, `"queue_id":"4C`+name+`"`)
		records += strings.ReplaceAll(record, `"mail_from":""`, `"mail_from":"a@example.org"`)
	}
	t.Chdir(t.TempDir())
	writeFile(t, "decisions", records+"{\"id\":\"s20301136\"}\n")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(strings.ReplaceAll(records, `"s203`, `"t203`))); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	writeFile(t, "decisions.1.gz", packed.String())
	for _, tt := range []struct {
		args, want string // pieces, and after ! what must not be there
		code       int
	}{
		{"s203011310 decisions*", "from     a@example.org|PTR   203.0.113.10 = mail.example.org|accept|!must change", 0},
		{"4Cs203011366 decisions*", "id       s203011366|PTR   203.0.113.66 = the lookup failed|helo-not-fqdn|must change", 0},
		{"t203011311 decisions*", "addr  notes.example.com = 203.0.113.11|helo-spf|!\x1b", 0},
		{"s203011314 decisions", "A     dead.example.org = the lookup failed: SERVFAIL|AAAA  dead.example.org = none", 0},
		{"--json s203011310 decisions", `{"v":1,|"id":"s203011310"`, 0},
		{"s20301136 decisions", "decisions:5: not a decision record of version 1|no decision with the id", 1},
		{"s decisions*", "no decision with the id \"s\" in these files", 1},
		{"s203011310 nothing", "nothing: no such file", 1},
		{"s203011310 nothing* decisions", "nothing*: no file matches|id       s203011310", 1},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"show"}, strings.Fields(tt.args)...), nil, &stdout, &stderr)
		text := stdout.String() + stderr.String()
		if code != tt.code {
			t.Errorf("show %s: exit %d", tt.args, code)
		}
		for piece := range strings.SplitSeq(tt.want, "|") {
			word, unwanted := strings.CutPrefix(piece, "!")
			if strings.Contains(text, word) == unwanted {
				t.Errorf("show %s: %q in\n%s", tt.args, piece, text)
			}
		}
	}
}

// Whatever is given as an id, nothing of it reaches the terminal as it is, and it finds no decision but its own.
func TestShowHostile(t *testing.T) {
	t.Chdir(t.TempDir())
	record, _ := ranOn(t, checkZone, "check", "--json", "203.0.113.10", "mail.example.org")
	writeFile(t, "decisions", strings.ReplaceAll(record, `"queue_id":""`, `"queue_id":"q\u001b[2J\"\\\u202e"`))
	ids := checkstest.Hostile(t)
	for _, id := range []string{
		"accept", "v", ":", ",", `":"`, `\`, "q", ".*", "%s%d", "--", "Id: \x1b[2J", strings.Repeat("a", 1<<20),
	} {
		ids[id] = id
	}
	for name, id := range ids {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"show", "--", id, "decisions"}, nil, &stdout, &stderr)
		if code != exitBad && code != exitUsage || stdout.Len() > 0 || stderr.Len() > 4096 {
			t.Errorf("%s: exit %d\n%s%.5000s", name, code, stdout.String(), stderr.String())
		}
		for _, r := range stderr.String() {
			if !unicode.IsPrint(r) && r != '\n' {
				t.Errorf("%s: %q", name, stderr.String())
			}
		}
	}
	for _, args := range [][]string{{"Id:", "check", "decisions"}, {"Id: check", "decisions"}, {"id=check;", "decisions"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"show"}, args...), nil, &stdout, &stderr); code != exitDone {
			t.Errorf("%q: exit %d\n%s", args, code, stderr.String())
		}
		if text := stdout.String(); strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "queue id q") {
			t.Errorf("%q:\n%q", args, text)
		}
	}
}
