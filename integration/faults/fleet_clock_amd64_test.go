package faults

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// The clocks of two hosts are two minutes apart, one is ahead of the server's and one behind it: both are judged alike,
// and each knows what the other has seen.
func TestFleetClocks(t *testing.T) {
	t.Parallel()
	redis := rig.StartRedis(t)
	var hosts []*fleetTest
	for i, ahead := range []time.Duration{time.Minute, -time.Minute} {
		f := &fleetTest{redis: redis, log: filepath.Join(t.TempDir(), "decisions.jsonl")}
		f.loadTest = newLoadTest(t, "unix", fmt.Sprintf("%sdecision_log = %q\n[fleet]\nredis = [\"redis://%s\"]\nhost = \"mx%d\"",
			strict, f.log, redis.Addr, i+1))
		f.milter.Start(t)
		clockOf(t, f.milter).set(ahead)
		hosts = append(hosts, f)
	}
	first, _ := hosts[0].verdicts(3)
	hosts[0].waitFor("helo_milter_fleet_spool_bytes", "<=", 0)
	second, _ := hosts[1].verdicts(3)
	if !slices.Equal(first, second) {
		t.Errorf("one says %q, the other %q", first, second)
	}
	hosts[1].waitFor("helo_milter_fleet_spool_bytes", "<=", 0)
	for _, f := range slices.Backward(hosts) {
		rig.Eventually(t, func() error {
			if err := f.milter.Session("203.0.113.10", "mail.example.org"); err != nil {
				return err
			}
			lines := completeLines(t, f.log)
			var last struct {
				Facts struct {
					Seen      struct{ Names int }
					Greetings []struct{ Seen struct{ Networks int } }
				}
			}
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
				return err
			}
			if seen := last.Facts; seen.Seen.Names != 2 || seen.Greetings[0].Seen.Networks != 1 {
				return fmt.Errorf("it has seen %+v", seen)
			}
			return nil
		})
	}
}
