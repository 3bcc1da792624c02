package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// doors are what a package may import besides the standard library. The program is one pipe: checks and
// dnscache do not know each other, and no package imports the commands. TOML is read in config only, and what
// serves (Prometheus, systemd) is in daemon only.
var doors = map[string][]string{
	"cmd/helo-milter": {
		"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/dnscache",
		"helo-milter/cmd/helo-milter/internal/config", "helo-milter/cmd/helo-milter/internal/daemon",
		"helo-milter/cmd/helo-milter/internal/help", "helo-milter/cmd/helo-milter/internal/fleet",
		"helo-milter/cmd/helo-milter/internal/listfile",
		"helo-milter/cmd/helo-milter/internal/evidence", "helo-milter/cmd/helo-milter/internal/explain",
		"helo-milter/cmd/helo-milter/internal/past",
		"helo-milter/cmd/helo-milter/internal/replay", "helo-milter/cmd/helo-milter/internal/sentinel",
		"github.com/alecthomas/kong", "golang.org/x/term",
	},
	"cmd/helo-milter/internal/completion": {"github.com/alecthomas/kong"},
	"cmd/helo-milter/internal/config": {
		"helo-milter/checks", "helo-milter/checks/enum", "helo-milter/dnscache", "helo-milter/milter/door",
		"helo-milter/milter/gate", "helo-milter/cmd/helo-milter/internal/listfile",
		"github.com/BurntSushi/toml", "github.com/agnivade/levenshtein",
	},
	"cmd/helo-milter/internal/console": {
		"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/cmd/helo-milter/internal/config",
		"helo-milter/cmd/helo-milter/internal/evidence", "helo-milter/cmd/helo-milter/internal/explain",
		"helo-milter/cmd/helo-milter/internal/lookups", "helo-milter/cmd/helo-milter/internal/past",
		"helo-milter/cmd/helo-milter/internal/replay",
	},
	"cmd/helo-milter/internal/lookups": {"helo-milter/dnscache", "github.com/hashicorp/golang-lru/v2/simplelru"},
	"cmd/helo-milter/internal/daemon": {
		"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/dnscache", "helo-milter/milter/door",
		"helo-milter/milter/gate", "helo-milter/milter", "helo-milter/milter/opensmtpd", "helo-milter/milter/policy",
		"helo-milter/cmd/helo-milter/internal/config", "helo-milter/cmd/helo-milter/internal/help",
		"helo-milter/cmd/helo-milter/internal/past", "helo-milter/cmd/helo-milter/internal/sentinel",
		"helo-milter/cmd/helo-milter/internal/spool", "helo-milter/cmd/helo-milter/internal/console",
		"helo-milter/cmd/helo-milter/internal/listfile",
		"helo-milter/cmd/helo-milter/internal/fleet",
		"helo-milter/cmd/helo-milter/internal/lookups",
		"github.com/coreos/go-systemd/v22/activation", "github.com/coreos/go-systemd/v22/daemon",
		"github.com/d--j/go-milter",
		"github.com/prometheus/client_golang/prometheus",
		"github.com/prometheus/client_golang/prometheus/collectors",
		"github.com/prometheus/client_golang/prometheus/promhttp",
	},
	"cmd/helo-milter/internal/evidence": {
		"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/checks/wilson",
	},
	"cmd/helo-milter/internal/explain": {"helo-milter/checks", "helo-milter/checks/clean"},
	"cmd/helo-milter/internal/help": {
		"helo-milter/checks", "helo-milter/checks/clean",
		"golang.org/x/crypto/chacha20poly1305", "golang.org/x/net/netutil", "golang.org/x/time/rate",
		"github.com/hashicorp/golang-lru/v2/simplelru",
	},
	"cmd/helo-milter/internal/fleet": {
		"helo-milter/checks", "helo-milter/cmd/helo-milter/internal/config", "helo-milter/cmd/helo-milter/internal/listfile", "github.com/hashicorp/golang-lru/v2/simplelru",
		"github.com/redis/go-redis/v9", "github.com/redis/go-redis/v9/maintnotifications",
	},
	"cmd/helo-milter/internal/fleet/fleettest": {},
	"cmd/helo-milter/internal/inorder":         {},
	"cmd/helo-milter/internal/listfile":        {},
	"cmd/helo-milter/internal/manual":          {"helo-milter/checks", "github.com/alecthomas/kong"},
	"cmd/helo-milter/internal/past": {
		"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/cmd/helo-milter/internal/inorder",
		"github.com/hashicorp/golang-lru/v2/simplelru", "github.com/valyala/fastjson",
	},
	"cmd/helo-milter/internal/replay": {
		"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/cmd/helo-milter/internal/inorder",
		"helo-milter/cmd/helo-milter/internal/past",
	},
	"cmd/helo-milter/internal/sentinel": {"helo-milter/checks"},
	"cmd/helo-milter/internal/spool":    {},

	"milter": {
		"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/milter/door", "helo-milter/milter/gate",
		"github.com/d--j/go-milter",
	},
	"milter/opensmtpd": {"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/milter/door"},
	"milter/policy":    {"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/milter/door", "helo-milter/milter/gate"},
	"milter/gate":      {},
	"milter/door": {
		"helo-milter/checks", "helo-milter/checks/clean", "helo-milter/checks/enum",
		"github.com/emersion/go-msgauth/authres",
	},
	"checks": {
		"helo-milter/checks/clean", "helo-milter/checks/enum", "blitiri.com.ar/go/spf",
		"github.com/gaissmai/bart", "golang.org/x/net/idna",
		"golang.org/x/net/publicsuffix",
	},
	"dnscache": {
		"github.com/maypok86/otter/v2", "github.com/miekg/dns", "golang.org/x/net/publicsuffix",
	},
	"checks/checkstest": {"github.com/miekg/dns"},
	"checks/clean":      {},
	"checks/enum":       {},
	"checks/wilson":     {},
	"dnscache/dnstest":  {"github.com/miekg/dns"},
	"integration/accuracy": {
		"helo-milter/checks", "helo-milter/checks/wilson", "github.com/alecthomas/kong",
		"golang.org/x/net/publicsuffix",
	},
	"integration":         {"helo-milter/integration/rig"},
	"integration/rig":     {"github.com/d--j/go-milter", "github.com/miekg/dns", "github.com/redis/go-redis/v9", "go.uber.org/goleak"},
	"integration/bench":   {"helo-milter/milter/gate", "helo-milter/integration/rig", "helo-milter/milter"},
	"integration/slowest": {},

	"examples/release/sbom": {"github.com/CycloneDX/cyclonedx-go"}, // a module of its own
}

func TestDoors(t *testing.T) {
	root := os.DirFS("../..")
	if _, err := root.Open("go.mod"); err != nil {
		t.Fatal(err)
	}
	for dir, allowed := range doors {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no Go files in %s (%v): is the list of doors old?", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range parsed.Imports {
				path, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				first, _, _ := strings.Cut(path, "/")
				outside := strings.Contains(first, ".") || first == "helo-milter"
				if outside && !slices.Contains(allowed, path) {
					t.Errorf("%s imports %s: that is a new door", file, path)
				}
			}
		}
	}
}

// Every package has its line in doors.
func TestDoorsAreComplete(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		dir, err := filepath.Rel("../..", filepath.Dir(path))
		if _, ok := doors[filepath.ToSlash(dir)]; !ok {
			t.Errorf("%s has no line in the list of doors", dir)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
