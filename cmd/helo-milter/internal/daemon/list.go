package daemon

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"helo-milter/checks/clean"
	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/cmd/helo-milter/internal/fleet"
	"helo-milter/cmd/helo-milter/internal/listfile"
)

// listEvery is how often the list is looked at: in its file, or at the fleet's server.
const listEvery = time.Second

// listWatch looks for changes of the allow and deny list while a configuration is in use.
type listWatch struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// watchList begins to look for another document than the one that a configuration has.
func (d *Daemon) watchList(cfg *config.Config, s *shared) {
	if d.listWatch != nil {
		d.listWatch.close()
		d.listWatch = nil
	}
	have := cfg.Document()
	d.metrics.list.use(have)
	if cfg.ListFile == "" && s == nil {
		return
	}
	look := d.lookAtFile(listfile.File(cfg.ListFile), have)
	if s != nil {
		look = d.lookAtFleet(s.server.List(), listfile.File(cfg.ListFile), have)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.listWatch = &listWatch{cancel, make(chan struct{})}
	go d.listWatch.run(ctx, look, cfg.ListEnds, d.newList)
}

func (w *listWatch) close() {
	w.stop()
	<-w.ended
}

// run sends the first other document, or nil when an entry of the one in use has ended, and ends: who takes it begins
// anew.
func (w *listWatch) run(
	ctx context.Context, look func(context.Context) *listfile.Document, ends time.Time,
	to chan<- *listfile.Document,
) {
	defer close(w.ended)
	every := time.NewTicker(listEvery)
	defer every.Stop()
	for {
		found := look(ctx)
		if found != nil || !ends.IsZero() && time.Now().After(ends) {
			select {
			case to <- found:
			case <-ctx.Done():
			}
			return
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookAtFile returns what looks whether the file has changed, and then what is in it.
func (d *Daemon) lookAtFile(file listfile.File, have *listfile.Document) func(context.Context) *listfile.Document {
	var seen os.FileInfo
	return func(context.Context) *listfile.Document {
		info, err := os.Stat(string(file))
		if err == nil && seen != nil && same(seen, info) {
			return nil
		}
		seen = info
		found, err := file.Load()
		if err != nil {
			if ok, suppressed := d.fleetErrors.allow("list file"); ok {
				d.log.Error("list: cannot be read, the list in use stays", "error", clean.Log(err.Error()),
					"suppressed", suppressed)
			}
			return nil
		}
		if found.Equal(have) && bytes.Equal(found.Text(), have.Text()) { // it may have been edited by hand
			return nil
		}
		return found
	}
}

// same reports whether a file has not been written since.
func same(then, now os.FileInfo) bool {
	return os.SameFile(then, now) && then.ModTime().Equal(now.ModTime()) && then.Size() == now.Size()
}

// lookAtFleet returns what looks whether the fleet has another document than this host, which is copied to the file.
func (d *Daemon) lookAtFleet(
	shared *fleet.List, file listfile.File, have *listfile.Document,
) func(context.Context) *listfile.Document {
	trouble := d.fleetTrouble("list")
	return func(ctx context.Context) *listfile.Document {
		found, restored, err := shared.Update(ctx, have)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			trouble(err)
			return nil
		case restored:
			d.log.Warn("list: the fleet's server had lost it, it has it again", "version", have.Version)
		}
		d.metrics.list.confirmed.Store(time.Now().Unix())
		if found != nil && file != "" {
			d.keepCopy(file, found, have)
		}
		return found
	}
}

// keepCopy writes the fleet's list to the file. A list that was this host's own before stays beside it.
func (d *Daemon) keepCopy(file listfile.File, found, have *listfile.Document) {
	var err error
	if found.Fleet != have.Fleet && len(have.Entries) > 0 {
		own := file + ".own"
		if err = own.Save(have); err == nil {
			d.log.Warn("list: the fleet has another one, which counts: add what is missing there", "own", string(own))
		}
	}
	if err = errors.Join(err, file.Save(found)); err == nil {
		return
	}
	if ok, suppressed := d.fleetErrors.allow("list copy"); ok {
		d.log.Error("list: no copy can be kept, it is lost at the next start", "error", err, "suppressed", suppressed)
	}
}

// takeList puts another list in use, or without one what is left of the same. That is done as a reload is, but the rest
// of the configuration is that in use, whatever its file has.
func (d *Daemon) takeList(found *listfile.Document) {
	before, ended := d.cfg.Document(), found == nil
	if ended {
		found = before
	}
	c, err := d.prepare(d.cfg.Listed(found, time.Now()))
	if err != nil {
		if ok, suppressed := d.fleetErrors.allow("list use"); ok {
			d.log.Error("list: not in use, the one before stays", "error", err, "suppressed", suppressed)
		}
		d.watchList(d.cfg, d.shared.Load())
		return
	}
	d.commit(c)
	if ended {
		d.log.Info("list: an entry has ended", "version", found.Version)
		return
	}
	d.metrics.list.changes.Inc()
	d.log.Info("list: changed", "version", found.Version, "changes", changesText(found.Since(before)))
}

// maxTold is how many changes a line of the log tells.
const maxTold = 5

// changesText says who has changed what.
func changesText(changes []listfile.Change) string {
	var told []string
	for _, c := range changes[max(0, len(changes)-maxTold):] {
		told = append(told, clean.Log(c.Who+" "+c.What+" "+c.Entry.List+" "+c.Entry.Clients()))
	}
	return strings.Join(told, "; ")
}

// listMetrics are about the list that commands edit.
type listMetrics struct {
	changes        prometheus.Counter
	version, count atomic.Uint64
	confirmed      atomic.Int64 // seconds since 1970
}

func newListMetrics() *listMetrics {
	return &listMetrics{changes: counter("list_changes_total", "Changes of the allow and deny list that were put in use.")}
}

func (m *listMetrics) use(d *listfile.Document) {
	m.version.Store(d.Version)
	m.count.Store(uint64(len(d.Entries)))
}

func (m *listMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.changes,
		gauge("list_entries", "Entries of the list that commands edit.", func() int { return int(m.count.Load()) }),
		gauge("list_version", "Version of that list: one more with each change.",
			func() int { return int(m.version.Load()) }),
		gauge("list_confirmed_timestamp_seconds",
			"When the fleet's server was last seen to have the same list; 0 without a fleet.",
			func() int { return int(m.confirmed.Load()) }),
	}
}
