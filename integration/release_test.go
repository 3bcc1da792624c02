package integration

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A release has static programs of both architectures, and the same source in another directory makes the same
// bytes. Its SBOM has what is in the program, and nothing that only tests need.
func TestRelease(t *testing.T) {
	t.Parallel()
	there, first, second := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{"checks", "cmd", "dnscache", "milter", "examples/release"} {
		if err := os.CopyFS(filepath.Join(there, dir), os.DirFS("../"+dir)); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile("../" + file)
		if err == nil {
			err = os.WriteFile(filepath.Join(there, file), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	buildRelease(t, "..", first, "amd64", "arm64")
	buildRelease(t, there, second, "amd64")
	for _, file := range []string{"helo-milter-linux-amd64", "helo-milter-linux-amd64.cdx.json"} {
		one, err := os.ReadFile(filepath.Join(first, file))
		if err != nil {
			t.Fatal(err)
		}
		if other, err := os.ReadFile(filepath.Join(second, file)); err != nil || !bytes.Equal(one, other) {
			t.Errorf("%s differs in another directory (%v)", file, err)
		}
	}
	sums := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	sums.Dir = first
	if out, err := sums.CombinedOutput(); err != nil || bytes.Count(out, []byte(": OK\n")) != 4 {
		t.Errorf("%v\n%s", err, out)
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		program := filepath.Join(first, "helo-milter-linux-"+arch)
		checkStatic(t, program, machine)
		checkSBOM(t, program)
	}
	out, err := exec.Command(filepath.Join(second, "helo-milter-linux-amd64"), "version").Output()
	want := "helo-milter v1.2.3\nrevision: c0ffee\ndate: 2026-11-28T12:00:00Z\ngo: go1."
	if err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("%v\n%s", err, out)
	}
}

func buildRelease(t *testing.T, source, out string, archs ...string) {
	t.Helper()
	build := exec.Command(filepath.Join(source, "examples/release/build"), append([]string{out}, archs...)...)
	build.Env = append(os.Environ(), "VERSION=v1.2.3", "REVISION=c0ffee", "SOURCE_DATE_EPOCH=1795867200")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// checkStatic checks that a program needs neither a dynamic linker nor a library.
func checkStatic(t *testing.T, program string, machine elf.Machine) {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Machine != machine {
		t.Errorf("%s is for %v", program, file.Machine)
	}
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: %v", program, part.Type)
		}
	}
}

// checkSBOM checks that the SBOM has the modules of the program and Go's own library.
func checkSBOM(t *testing.T, program string) {
	t.Helper()
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"std " + strings.TrimPrefix(info.GoVersion, "go"): true}
	for _, module := range info.Deps {
		want[module.Path+" "+module.Version] = true
	}
	text, err := os.ReadFile(program + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	var sbom struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &sbom); err != nil || sbom.BOMFormat != "CycloneDX" {
		t.Fatalf("%v, %s", err, sbom.BOMFormat)
	}
	for _, c := range sbom.Components {
		if !want[c.Name+" "+c.Version] {
			t.Errorf("%s %s is not in the program", c.Name, c.Version)
		}
		delete(want, c.Name+" "+c.Version)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	for _, only := range []string{"chromedp", "goleak", "jsonschema", "staticcheck", "serialNumber", "timestamp"} {
		if bytes.Contains(text, []byte(only)) {
			t.Errorf("the SBOM of %s has %s", program, only)
		}
	}
}
