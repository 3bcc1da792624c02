package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"strings"

	"helo-milter/checks"
)

// What the linker sets in a release, see examples/release/build: a copy of the source has no history that Go
// could read this from. They are constants in all but form.
var (
	release  string // such as v1.2.3
	revision string // of the source: a commit
	date     string // of that revision: RFC 3339
)

type versionCmd struct{}

// Run prints what the program was built from. The same program always prints the same.
func (versionCmd) Run(p *program) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	_, err := fmt.Fprint(p.stdout, origin(info))
	return err
}

// origin is the version, revision, date and Go version of the program, the dates of its lists, and the modules
// in it, in the order of their paths. What nobody has said is unknown: a program that was built without
// version control (-buildvcs=false) knows no revision, unless the linker was told.
func origin(info *debug.BuildInfo) string {
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	commit := cmp.Or(revision, setting["vcs.revision"], "unknown")
	if revision == "" && setting["vcs.modified"] == "true" {
		commit += ", modified"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "helo-milter %s\n", cmp.Or(release, info.Main.Version, "(unknown)"))
	fmt.Fprintf(&b, "revision: %s\n", commit)
	fmt.Fprintf(&b, "date: %s\n", cmp.Or(date, setting["vcs.time"], "unknown"))
	fmt.Fprintf(&b, "go: %s %s/%s\n", info.GoVersion, setting["GOOS"], setting["GOARCH"])
	fmt.Fprintf(&b, "top-level domains: %s\nwell-known providers: %s\n", checks.KnownTLDs(), checks.BrandsDate)
	b.WriteString("modules:\n")
	for _, module := range info.Deps {
		fmt.Fprintf(&b, "  %s %s", module.Path, module.Version)
		if module.Replace != nil {
			fmt.Fprintf(&b, " => %s %s", module.Replace.Path, module.Replace.Version)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
