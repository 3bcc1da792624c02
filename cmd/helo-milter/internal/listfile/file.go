package listfile

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

func random() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// File is a document in a file.
type File string

// Load reads the document. A file that does not exist is an empty list.
func (f File) Load() (*Document, error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return &Document{V: version}, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	return d, nil
}

// lockWait is how long a change waits for another one.
const lockWait = 10 * time.Second

// Change changes the document: one command after the other, and whole or not at all.
func (f File) Change(ctx context.Context, change func(*Document) error) error {
	lock, err := os.OpenFile(string(f)+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s: another command changes it: %w", f, ctx.Err())
		}
	}
	d, err := f.Load()
	if err != nil {
		return err
	}
	if err := change(d); err != nil {
		return err
	}
	return f.Save(d)
}

// Save puts a document in the place of the file, with the mode and the owner that the file has, as far as that is
// allowed. Who reads it meanwhile has the old one or the new one.
func (f File) Save(d *Document) error {
	mode := fs.FileMode(0o644)
	old, err := os.Stat(string(f))
	if err == nil {
		mode = old.Mode().Perm()
	}
	temp, err := os.CreateTemp(filepath.Dir(string(f)), ".list-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // which is gone when all went well
	if old != nil {
		if owner, ok := old.Sys().(*syscall.Stat_t); ok {
			_ = temp.Chown(int(owner.Uid), int(owner.Gid)) // only root may
		}
	}
	_, err = temp.Write(d.Text())
	if err := errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), string(f))
}
