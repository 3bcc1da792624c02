package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A line that a full disk or a kill has cut off stays by itself, and nothing else is added.
func TestRecordFileTorn(t *testing.T) {
	for _, tt := range []struct{ was, want string }{
		{"", "new\n"},
		{"whole\n", "whole\nnew\n"},
		{"whole\nhal", "whole\nhal\nnew\n"},
	} {
		f := &recordFile{path: filepath.Join(t.TempDir(), "decisions.jsonl")}
		if err := os.WriteFile(f.path, []byte(tt.was), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(f, "new"); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(f.path); string(text) != tt.want || err != nil || !f.isThere() {
			t.Errorf("%q became %q, want %q; %v", tt.was, text, tt.want, err)
		}
		if err := os.Rename(f.path, f.path+".1"); err != nil || f.isThere() {
			t.Errorf("rotated, and it does not notice (%v)", err)
		}
		f.Close()
	}
}

// A file that cannot be opened yet is opened when it can; a closed one is not opened again.
func TestRecordFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	f := &recordFile{path: filepath.Join(dir, "decisions.jsonl")}
	if _, err := fmt.Fprintln(f, "one"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"two", "three"} {
		if _, err := fmt.Fprintln(f, line); err != nil {
			t.Error(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := fmt.Fprintln(f, "four"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if text, err := os.ReadFile(f.path); string(text) != "two\nthree\n" {
		t.Errorf("%q, %v", text, err)
	}
}
