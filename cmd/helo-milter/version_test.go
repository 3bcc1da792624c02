package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

// A program knows its source from Go, from the linker, or not at all. Everything else is always there.
func TestVersion(t *testing.T) {
	made := &debug.BuildInfo{
		GoVersion: "go1.26.0",
		Main:      debug.Module{Version: "v0.0.0-20261128120000-0123456789ab"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.0.0"},
			{Path: "example.org/b", Version: "v1.1.0", Replace: &debug.Module{Path: "example.net/b", Version: "v1.1.1"}},
		},
		Settings: []debug.BuildSetting{
			{Key: "GOARCH", Value: "arm64"},
			{Key: "GOOS", Value: "linux"},
			{Key: "vcs.revision", Value: "0123456789abcdef"},
			{Key: "vcs.time", Value: "2026-11-28T12:00:00Z"},
			{Key: "vcs.modified", Value: "true"},
		},
	}
	plain := &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "(devel)"}}
	common := []string{"top-level domains: ", "well-known providers: ", "go: go1.26.0 "}
	for _, tt := range []struct {
		linker [3]string
		info   *debug.BuildInfo
		want   string // lines
	}{
		{
			[3]string{},
			made,
			"helo-milter v0.0.0-20261128120000-0123456789ab\nrevision: 0123456789abcdef, modified\ndate: 2026-11-28T12:00:00Z\n" +
				"go: go1.26.0 linux/arm64\nmodules:\n  example.org/a v1.0.0\n  example.org/b v1.1.0 => example.net/b v1.1.1",
		},
		{[3]string{"v1.2.3", "c0ffee", "2026-12-01T00:00:00Z"}, made, "helo-milter v1.2.3\nrevision: c0ffee\ndate: 2026-12-01T00:00:00Z"},
		{[3]string{}, plain, "helo-milter (devel)\nrevision: unknown\ndate: unknown"},
	} {
		release, revision, date = tt.linker[0], tt.linker[1], tt.linker[2]
		got := origin(tt.info)
		for _, line := range append(strings.Split(tt.want, "\n"), common...) {
			if !strings.Contains("\n"+got, "\n"+line) {
				t.Errorf("%q is missing in\n%s", line, got)
			}
		}
	}
	release, revision, date = "", "", ""
}
