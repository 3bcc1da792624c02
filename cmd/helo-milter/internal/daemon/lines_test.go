package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
)

// A decision's line is as one of slog, in both forms, and from level warn on there is none. A reload changes both
// keys for a logger that is there already.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	l := newLines(&out, &config.Config{})
	log := slog.New(l)
	for _, cfg := range []config.Config{
		{},
		{LogLevel: slog.LevelDebug},
		{LogLevel: slog.LevelWarn},
		{Log: config.LogJSON},
		{Log: config.LogJSON, LogLevel: slog.LevelError},
	} {
		l.use(&cfg)
		log.Debug("debug")
		log.Info("info")
		log.Error("error", "error", errors.New("a \x7f\u202e\n=\"b\" \U000e0041"))
		l.decided(&checks.Decision{ID: "id1", Facts: &checks.Facts{Client: netip.MustParseAddr("203.0.113.9")}})
	}
	l.Close(time.Second)
	var got []string
	for line := range strings.Lines(out.String()) {
		line = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)`).ReplaceAllString(line, "T")
		got = append(got, strings.TrimSuffix(line, "\n"))
	}
	const info, debug = "time=T level=INFO msg=info", "time=T level=DEBUG msg=debug"
	const failed = `time=T level=ERROR msg=error error="a \x7f\u202e\n=\"b\" \U000e0041"`
	const object = `{"time":"T","level":"ERROR","msg":"error","error":"a \u007f\u202e\n=\"b\" \udb40\udc41"}`
	const decided = `time=T level=INFO msg=decision id=id1 queue_id="" mta="" client=203.0.113.9 helo="" ` +
		`iprev=none want=accept did=accept rules=none unsure=none score=0 ms=0 mail_from="" rcpt_to=""`
	const decidedObject = `{"time":"T","level":"INFO","msg":"decision","id":"id1","queue_id":"","mta":"",` +
		`"client":"203.0.113.9","helo":"","iprev":"none","want":"accept","did":"accept","rules":[],"unsure":[],` +
		`"score":0,"ms":0,"mail_from":"","rcpt_to":[]}`
	want := []string{
		info, failed, decided,
		debug, info, failed, decided,
		failed,
		`{"time":"T","level":"INFO","msg":"info"}`, object, decidedObject,
		object,
	}
	for i := range max(len(want), len(got)) {
		if i >= min(len(want), len(got)) || got[i] != want[i] {
			t.Fatalf("line %d of\n%s\nwant\n%s", i+1, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if strings.ContainsFunc(got[i], unprintable) || got[i][0] == '{' && !json.Valid([]byte(got[i])) {
			t.Errorf("line %d is %q", i+1, got[i])
		}
	}
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
