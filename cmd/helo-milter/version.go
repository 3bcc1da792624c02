package main

import (
	"fmt"
	"runtime/debug"

	"helo-milter/checks"
)

type versionCmd struct{}

// Run prints the version that the program was built from.
func (versionCmd) Run(p *program) error {
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	_, err := fmt.Fprintf(p.stdout, "helo-milter %s\ntop-level domains: %s\nwell-known providers: %s\n",
		version, checks.KnownTLDs(), checks.BrandsDate)
	return err
}
