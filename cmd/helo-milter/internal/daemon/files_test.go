package daemon

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"helo-milter/cmd/helo-milter/internal/config"
	"helo-milter/dnscache"
)

// The files suffice for what they are shared out to, and nobody is left with nothing.
func TestShare(t *testing.T) {
	for _, tt := range []struct {
		most, connections, servers    int
		wantConnections, wantInFlight int
	}{
		{0, 1000, 1, 1000, 1000},       // not known
		{1 << 30, 1000, 3, 1000, 1000}, // no limit
		{4044, 1000, 1, 1000, 1000},    // just enough
		{4043, 1000, 1, 1000, 999},     // one is missing: a question gives way
		{10_043, 1000, 0, 1000, 999},   // servers of resolv.conf
		{8192, 1000, 2, 1000, 1000},
		{4096, 100, 3, 100, 439},  // few connections leave more to the questions
		{1024, 1000, 1, 491, 163}, // the default soft limit: each has half
		{1024, 1000, 3, 494, 54},
		{1024, 20, 1, 20, 320},
		{16_000, 1_000_000, 1, 12_956, 1000}, // connections have what the questions leave
		{64, 1000, 1, 11, 3},
		{40, 1000, 1, 1, 1}, // less than we need ourselves: it starts nevertheless
	} {
		cfg := &config.Config{Resolver: dnscache.Config{Servers: make([]string, tt.servers)}}
		cfg.Limits.Connections = tt.connections
		f := share(cfg, tt.most)
		if f.connections != tt.wantConnections || f.questions != tt.wantInFlight {
			t.Errorf("%d files, %d connections, %d servers: %d connections and %d questions, not %d and %d", tt.most,
				tt.connections, tt.servers, f.connections, f.questions, tt.wantConnections, tt.wantInFlight)
		}
	}
}

// The unit's limit suffices for the defaults.
func TestUnitSuffices(t *testing.T) {
	unit, err := os.ReadFile("../../../../examples/systemd/helo-milter.service")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(unit), "\nLimitNOFILE=")
	value, _, _ := strings.Cut(line, "\n")
	most, err := strconv.Atoi(value)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{}
	cfg.Limits.Connections = 1000
	if f := share(cfg, most); f.wanted > most {
		t.Errorf("LimitNOFILE=%d, and %d are needed", most, f.wanted)
	}
}
