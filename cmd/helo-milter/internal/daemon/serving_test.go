package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// That a resolver filters is logged once an hour, whatever it blocks.
func TestFilteredLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := &Daemon{filters: newThrottle(time.Hour), log: slog.New(slog.NewTextHandler(&log, nil))}
		d.filtered("news.example.org", "0.0.0.0")
		d.filtered("ad.example.net", "::")
		time.Sleep(time.Hour)
		d.filtered("a\x7fb.example.org", "::")
		if text := log.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "name=news.example.org "+
			"answer=0.0.0.0") || !strings.Contains(text, "name=a?b.example.org answer=:: suppressed=1\n") {
			t.Errorf("the log is\n%s", text)
		}
	})
}
