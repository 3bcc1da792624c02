package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server with the settings of examples/fleet takes what comes when its memory is full: counters go, and streams and the
// list stay.
func TestFullServer(t *testing.T) {
	text, err := os.ReadFile("../../../../examples/fleet/redis.conf")
	if err != nil {
		t.Fatal(err)
	}
	conf := strings.NewReplacer("maxmemory 16gb", "maxmemory 6mb", "user default off", "").Replace(string(text))
	file := filepath.Join(t.TempDir(), "redis.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	redis := startRedis(t, "--include", file)
	mx1, mx2 := redis.connect("mx1"), redis.connect("mx2")
	if err := mx1.client.HSet(t.Context(), mx1.key("list"), fieldHead, "{}").Err(); err != nil {
		t.Fatal(err)
	}
	record := `{"v":1,"padding":"` + strings.Repeat("x", 1000) + `"}`
	for host, s := range []*Server{mx1, mx2} {
		d, lines := NewDecisions(s, 1000, func() uint64 { return 0 }), ""
		for i := range 6000 {
			sighting := fmt.Sprintf("2001:db8:%x:%x::1 mx%d.host%d.example.org example.org", host, i, i, host)
			lines += line(sighting, record)
			if i%200 == 199 {
				if _, err := d.Write([]byte(lines)); err != nil {
					t.Fatal(err)
				}
				lines = ""
			}
		}
	}
	keys, err := mx1.client.DBSize(t.Context()).Result()
	if err != nil || keys > 20_000 {
		t.Fatalf("it was not full: %d keys, %v", keys, err)
	}
	for _, s := range []*Server{mx1, mx2} {
		if n, err := s.client.XLen(t.Context(), s.key("decisions", s.host)).Result(); err != nil || n < 1000 {
			t.Errorf("%s has %d records, %v", s.host, n, err)
		}
	}
	if n, err := mx1.client.Exists(t.Context(), mx1.key("list")).Result(); err != nil || n != 1 {
		t.Errorf("the list has gone: %v", err)
	}
}
