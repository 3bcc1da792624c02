package main

import (
	"io/fs"
	"os"
	"sync/atomic"
)

// recordFile is a file that is appended to, and opened when there is something to write if it could not
// be opened before.
type recordFile struct {
	path   string
	file   atomic.Pointer[os.File]
	closed atomic.Bool
}

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
	return f.file.Load().Write(p)
}

// Close ends a Write that blocks on a pipe, too.
func (f *recordFile) Close() error {
	f.closed.Store(true)
	if file := f.file.Load(); file != nil {
		return file.Close()
	}
	return nil
}
