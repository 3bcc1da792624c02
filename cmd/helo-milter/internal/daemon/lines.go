package daemon

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"helo-milter/checks"
	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/spool"
)

// lines are the log, as a slog.Handler whose form and level a reload changes.
type lines struct {
	*spool.Spool
	level slog.LevelVar
	json  atomic.Bool

	asText, asJSON slog.Handler
}

func newLines(to io.Writer, cfg *config.Config) *lines {
	l := &lines{Spool: spool.New(struct{ io.Writer }{to}, nil)}
	options := &slog.HandlerOptions{Level: &l.level}
	l.asText, l.asJSON = slog.NewTextHandler(l.Spool, options), slog.NewJSONHandler(printable{l.Spool}, options)
	l.use(cfg)
	return l
}

// use writes lines from now on as a configuration says.
func (l *lines) use(cfg *config.Config) {
	l.level.Set(cfg.LogLevel)
	l.json.Store(cfg.Log == config.LogJSON)
}

func (l *lines) handler() slog.Handler {
	if l.json.Load() {
		return l.asJSON
	}
	return l.asText
}

// Enabled implements slog.Handler.
func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level.Level() }

// Handle implements slog.Handler.
func (l *lines) Handle(ctx context.Context, r slog.Record) error { return l.handler().Handle(ctx, r) }

// WithAttrs implements slog.Handler. What it returns keeps the form that the log has now.
func (l *lines) WithAttrs(attrs []slog.Attr) slog.Handler { return l.handler().WithAttrs(attrs) }

// WithGroup implements slog.Handler, as WithAttrs does.
func (l *lines) WithGroup(name string) slog.Handler { return l.handler().WithGroup(name) }

// decided writes the line of a decision as slog would, of level info, without its cost.
func (l *lines) decided(d *checks.Decision) {
	if l.level.Level() > slog.LevelInfo {
		return
	}
	begin, format, middle, end := "time=", "2006-01-02T15:04:05.000Z07:00", " level=INFO msg=decision", "\n"
	json := l.json.Load()
	if json {
		begin, format, middle, end = `{"time":"`, time.RFC3339Nano, `","level":"INFO","msg":"decision"`, "}\n"
	}
	l.Append(func(b []byte) []byte {
		b = append(time.Now().AppendFormat(append(b, begin...), format), middle...)
		return append(d.AppendLog(b, json), end...)
	})
}

// printable is for lines of slog's JSON handler, which leaves in them what a terminal obeys.
type printable struct{ to io.Writer }

// Write takes one line with its end.
func (p printable) Write(line []byte) (int, error) {
	_, err := io.WriteString(p.to, clean.JSON(string(line[:len(line)-1]))+"\n")
	return len(line), err
}
