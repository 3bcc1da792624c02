// Command sbom prints a CycloneDX SBOM of a Go program: the modules that are in it, by the program's own word.
//
//	go run . PROGRAM VERSION
//
// It has a go.mod of its own, so that what a release needs is no dependency of the program. cyclonedx-gomod does
// the same, but takes three minutes of CPU time to build; its `app` mode needs a git clone besides.
package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: sbom PROGRAM VERSION")
		os.Exit(2)
	}
	info, err := buildinfo.ReadFile(os.Args[1])
	if err == nil {
		out := cdx.NewBOMEncoder(os.Stdout, cdx.BOMFileFormatJSON).SetPretty(true)
		err = out.EncodeVersion(bom(info, os.Args[2]), cdx.SpecVersion1_6) // more tools read it than read 1.7
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// bom has neither a serial number nor a time: the same program has the same.
func bom(info *buildinfo.BuildInfo, version string) *cdx.BOM {
	program := cdx.Component{
		Type: cdx.ComponentTypeApplication, Name: info.Main.Path, Version: version,
		BOMRef: purl(info.Main.Path, version), PackageURL: purl(info.Main.Path, version),
	}
	for _, s := range info.Settings {
		if s.Key == "GOOS" || s.Key == "GOARCH" {
			program.Properties = add(program.Properties, cdx.Property{Name: s.Key, Value: s.Value})
		}
	}
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{Component: &program}
	var refs []string
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		b.Components = add(b.Components, library(module.Path, module.Version, module.Sum))
	}
	b.Components = add(b.Components, library("std", strings.TrimPrefix(info.GoVersion, "go"), ""))
	for _, c := range *b.Components {
		refs = append(refs, c.BOMRef)
	}
	b.Dependencies = &[]cdx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}
	return b
}

// library is a module, with the checksum of go.sum where there is one: "h1:" and a SHA-256 in base64.
func library(path, version, sum string) cdx.Component {
	c := cdx.Component{
		Type: cdx.ComponentTypeLibrary, Name: path, Version: version, Scope: cdx.ScopeRequired,
		BOMRef: purl(path, version), PackageURL: purl(path, version),
	}
	if hash, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:")); err == nil && len(hash) > 0 {
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(hash)}}
	}
	return c
}

// purl is a package URL: https://github.com/package-url/purl-spec, type golang.
func purl(path, version string) string { return "pkg:golang/" + path + "@" + version }

func add[T any](list *[]T, item T) *[]T {
	if list == nil {
		list = new([]T)
	}
	*list = append(*list, item)
	return list
}
