package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"

	"helo-milter/cmd/helo-milter/internal/config"
)

// recordFile is a file that is appended to, and opened when there is something to write if it could not
// be opened before.
type recordFile struct {
	path   string
	file   atomic.Pointer[os.File]
	closed atomic.Bool
	begun  bool // of Write: what comes next stands at the start of a line
}

// standardOutput is a decision log that is never closed.
type standardOutput struct{ io.Writer }

func (f *recordFile) open() error {
	flags := os.O_WRONLY | os.O_APPEND | os.O_CREATE
	if info, err := os.Stat(f.path); err == nil && info.Mode().Type() == fs.ModeNamedPipe {
		flags = os.O_RDWR // so that it can be opened before, and stays open after, its reader does
	}
	file, err := os.OpenFile(f.path, flags, 0o640)
	if err != nil {
		return err
	}
	f.file.Store(file)
	return nil
}

func (f *recordFile) Write(p []byte) (int, error) {
	if f.closed.Load() {
		return 0, os.ErrClosed
	}
	if f.file.Load() == nil {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	file := f.file.Load()
	if !f.begun && f.endsWithin() {
		// What a full disk or a kill has cut off must not take a whole line along.
		if _, err := file.Write([]byte("\n")); err != nil {
			return 0, err
		}
	}
	f.begun = true
	return file.Write(p)
}

// endsWithin reports whether the file ends within a line.
func (f *recordFile) endsWithin() bool {
	info, err := f.file.Load().Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	file, err := os.Open(f.path)
	if err != nil {
		return false
	}
	defer file.Close()
	last := make([]byte, 1)
	_, err = file.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}

// isThere reports whether the open file is still the one of its name.
func (f *recordFile) isThere() bool {
	file := f.file.Load()
	if file == nil {
		return false
	}
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(f.path)
	return err == nil && os.SameFile(opened, named)
}

// Close ends a Write that blocks on a pipe, too.
func (f *recordFile) Close() error {
	f.closed.Store(true)
	if file := f.file.Load(); file != nil {
		return file.Close()
	}
	return nil
}

// openRecords opens the decision log, unless it is open and still the file of that name. A file that
// cannot be opened is no reason not to serve, unless it is the configuration that is wrong, or new: it is
// tried again.
func (d *Daemon) openRecords(cfg *config.Config) (io.Writer, error) {
	here := d.cfg != nil && d.cfg.DecisionLog == cfg.DecisionLog
	switch file, isFile := d.records.(*recordFile); {
	case cfg.DecisionLog == "":
		return nil, nil
	case here && (!isFile || file.isThere()):
		return d.records, nil
	case cfg.DecisionLog == "-":
		return &standardOutput{d.stdout}, nil
	}
	file := &recordFile{path: cfg.DecisionLog}
	err := file.open()
	wrong := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR)
	if err != nil && (d.cfg != nil && !here || wrong) {
		return nil, err
	} else if err != nil {
		d.log.Error("decision log: cannot be opened, records wait in memory or are dropped", "error", err)
	}
	return file, nil
}

// checkFiles is an error when a directory or the configuration itself is in the place of the decision log.
func checkFiles(c *change) error {
	info, err := os.Stat(c.cfg.DecisionLog)
	if err != nil || c.cfg.DecisionLog == "-" {
		return nil
	}
	what := ""
	if own, err := os.Stat(c.cfg.File); err == nil && os.SameFile(own, info) {
		what = "the configuration file"
	} else if info.IsDir() {
		what = "a directory"
	}
	if what != "" {
		return &config.KeyError{Key: "decision_log", Err: fmt.Errorf("%s is %s", c.cfg.DecisionLog, what)}
	}
	return nil
}
