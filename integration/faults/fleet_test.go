package faults

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

// fleetTest is a milter that shares a redis-server, reached by way of a proxy that can be slow.
type fleetTest struct {
	*loadTest
	redis *rig.Redis
	proxy *rig.SlowProxy
	log   string // of its decisions
}

func startFleetTest(t *testing.T, settings ...string) *fleetTest {
	t.Helper()
	f := &fleetTest{redis: rig.StartRedis(t, settings...), log: filepath.Join(t.TempDir(), "decisions.jsonl")}
	f.proxy = rig.StartSlowProxy(t, f.redis.Addr)
	f.loadTest = newLoadTest(t, "unix", fmt.Sprintf(`%sdecision_log = %q
[fleet]
redis = ["redis://%s"]
host = "mx1.example.net"`, strict, f.log, f.proxy.Addr))
	f.milter.Start(t)
	f.waitFor("helo_milter_fleet_up", ">=", 1)
	return f
}

// clients are some whom strict judges each in another way.
var clients = []struct{ addr, helo string }{
	{"203.0.113.10", "mail.example.org"},
	{"203.0.113.10", "203.0.113.10"},
	{"203.0.113.99", "friend"},
	{"203.0.113.10", "localhost"},
}

// verdicts are what becomes of the clients, each several times, and the time that the middle one of the sessions takes.
func (f *fleetTest) verdicts(rounds int) (all []string, middle time.Duration) {
	f.Helper()
	var times []time.Duration
	for range rounds {
		for _, c := range clients {
			begin := time.Now()
			err := f.milter.Session(c.addr, c.helo)
			times = append(times, time.Since(begin))
			verdict := "accept"
			if err != nil {
				verdict, _, _ = strings.Cut(err.Error(), " Id:")
			}
			all = append(all, verdict)
		}
	}
	slices.Sort(times)
	return all, times[len(times)/2]
}

// records is how many records the stream has, and how many of those are there once.
func (f *fleetTest) records() (all, different int) {
	f.Helper()
	entries, err := f.redis.Client.XRange(f.Context(), "helo-milter:decisions:mx1.example.net", "-", "+").Result()
	if err != nil {
		return 0, 0
	}
	known := map[string]bool{}
	for _, e := range entries {
		var r struct {
			V        int
			ID, Time string
		}
		if json.Unmarshal([]byte(fmt.Sprint(e.Values["r"])), &r) != nil || r.ID == "" {
			f.Errorf("not a record: %v", e.Values)
		}
		if r.V == 1 {
			known[r.ID+r.Time] = true
		}
	}
	return len(entries), len(known)
}

// Whatever becomes of what a fleet shares, mail does not notice: nobody waits, and nobody is judged otherwise. It is
// counted by its kind, and afterwards all records are there that were not counted as dropped.
func TestFleetFaults(t *testing.T) {
	key := func(name string) string { return "helo-milter:" + name }
	tests := []struct {
		fault string
		do    func(f *fleetTest)
		kind  string // of the errors
		end   func(f *fleetTest)
		lost  bool // records that were there before
	}{
		{"SIGSTOP", func(f *fleetTest) { f.redis.Pause() }, "timeout", func(f *fleetTest) { f.redis.Resume() }, false},
		{"a latency of 5 s", func(f *fleetTest) { f.proxy.Slow(5 * time.Second) }, "timeout", func(f *fleetTest) { f.proxy.Slow(0) }, false},
		{"connection refused", func(f *fleetTest) { f.redis.Stop() }, "unreachable", func(f *fleetTest) { f.redis.Start() }, true},
		{
			"wrong password", func(f *fleetTest) {
				f.must("CONFIG", "SET", "requirepass", "another")
				f.must("AUTH", "another")
				f.must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			}, "not allowed", func(f *fleetTest) {
				f.must("AUTH", "another")
				f.must("CONFIG", "SET", "requirepass", "")
			}, false,
		},
		{
			"wrong types", func(f *fleetTest) {
				f.must("FLUSHALL")
				for _, name := range []string{
					"decisions:mx1.example.net", "hosts", "list", "helo:mail.example.org", "helo:friend", "helo:localhost",
					"client:203.0.113.10", "client:203.0.113.99",
				} {
					f.must("SET", key(name), "x")
				}
			}, "wrong type", func(f *fleetTest) { f.must("FLUSHALL") }, true,
		},
		{
			"full memory, noeviction", func(f *fleetTest) { f.must("CONFIG", "SET", "maxmemory", "1") }, "out of memory",
			func(f *fleetTest) { f.must("CONFIG", "SET", "maxmemory", "0") }, false,
		},
		{
			"a host of another version", func(f *fleetTest) {
				now := time.Now().Unix()
				f.must("ZADD", key("hosts"), now, "mx0.example.net")
				f.must("XADD", key("decisions:mx0.example.net"), "*", "v", "0")
				f.must("XADD", key("decisions:mx1.example.net"), "*", "n", "x", "r", `{"v":9,"ID":"of another version"}`)
				f.must("ZADD", key("client:203.0.113.10"), now, "q 7", now, "l")
				f.must("ZADD", key("helo:mail.example.org"), now, "", now, "n", now, "q 192.0.2.0/24")
				f.must("HSET", key("list"), "head", "{", "document", `{"v":9}`)
			}, "", func(*fleetTest) {}, true,
		},
		{"flush", func(f *fleetTest) { f.must("FLUSHALL") }, "", func(*fleetTest) {}, true},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			f := startFleetTest(t)
			s := f.stream(accept)
			s.wait(3)
			before, without := f.verdicts(20)
			test.do(f)
			during, with := f.verdicts(20)
			if !slices.Equal(during, before) {
				t.Errorf("before the fault\n%s\nduring it\n%s", strings.Join(before, "\n"), strings.Join(during, "\n"))
			}
			s.wait(20)
			if test.kind != "" {
				series := func(part string) string {
					return fmt.Sprintf("helo_milter_fleet_errors_total{kind=%q,part=%q}", test.kind, part)
				}
				f.waitFor(series("decisions"), ">=", 1)
				f.waitFor(series("presence"), ">=", 1)
				f.waitFor("helo_milter_fleet_up", "<=", 0)
				awaitLog(t, f.milter, "fleet: no answer, this host goes on alone", 1)
			}
			test.end(f)
			f.waitFor("helo_milter_fleet_up", ">=", 1)
			if messages, passed := s.end(); passed != messages || s.slowest > 4*time.Second {
				t.Errorf("%d messages bypassed the milter, the slowest took %v", messages-passed, s.slowest)
			}
			if with > without+30*time.Millisecond { // a session that waited for its questions would take 50 ms longer
				t.Errorf("the middle session takes %v without and %v with the fault", without, with)
			}
			t.Logf("the middle session takes %v without and %v with the fault", without, with)
			f.settle(test.lost)
		})
	}
}

// settle waits until what waits in memory is in the stream.
func (f *fleetTest) settle(lost bool) {
	f.Helper()
	f.waitFor("helo_milter_fleet_spool_bytes", "<=", 0)
	decided := len(completeLines(f.T, f.log))
	if dropped := f.metric("helo_milter_fleet_dropped_total"); dropped != 0 {
		f.Errorf("%v records were dropped", dropped)
	}
	if all, different := f.records(); !lost && different != decided || different > decided || different == 0 || all > different+200 {
		f.Errorf("%d decisions, %d records in the stream, %d of them different", decided, all, different)
	}
}

// must is a command to the server.
func (f *fleetTest) must(args ...any) {
	f.Helper()
	if _, err := f.redis.Do(args...); err != nil {
		f.Fatalf("%v: %v", args, err)
	}
}

// A server that is away for long costs records, and they are counted; the daemon starts without it.
func TestFleetDrops(t *testing.T) {
	t.Parallel()
	f := startFleetTest(t)
	f.redis.Stop()
	f.milter.Stop(t)
	f.milter.Start(t)
	bulky := "mail." + strings.Repeat(strings.Repeat("a", 60)+".", 3) + "example.org"
	var sending sync.WaitGroup
	for range 4 {
		sending.Go(func() {
			for f.metric("helo_milter_fleet_dropped_total") == 0 {
				for range 50 {
					_ = f.milter.Session("203.0.113.10", bulky)
				}
			}
		})
	}
	sending.Wait()
	if got, want := f.metric("helo_milter_fleet_spool_bytes"), 8.0*(1<<20); got > want {
		t.Errorf("%v bytes wait in memory, more than %v", got, want)
	}
	f.redis.Start()
	f.waitFor("helo_milter_fleet_spool_bytes", "<=", 0)
	decided := len(completeLines(t, f.log))
	_, different := f.records()
	if dropped := int(f.metric("helo_milter_fleet_dropped_total")); different+dropped != decided {
		t.Errorf("%d decisions: %d are in the stream, and %d were dropped", decided, different, dropped)
	}
	if err := f.milter.Session("203.0.113.10", "mail.example.org"); err != nil {
		t.Error(err)
	}
	f.waitFor("helo_milter_fleet_spool_bytes", "<=", 0)
	f.lastNumbers(func(dropped string) bool { return dropped != "0" })
}

// Sentinels put another server in the place of one that is gone: the fleet goes on there, by itself.
func TestFleetFailover(t *testing.T) {
	t.Parallel()
	sentinels := rig.StartSentinels(t)
	var urls []string
	for _, addr := range sentinels.Addrs {
		urls = append(urls, fmt.Sprintf("%q", "redis://"+addr+"?master_name="+rig.SentinelName))
	}
	f := &fleetTest{redis: sentinels.Replica, log: filepath.Join(t.TempDir(), "decisions.jsonl")}
	f.loadTest = newLoadTest(t, "unix", fmt.Sprintf("%sdecision_log = %q\n[fleet]\nredis = [%s]\nhost = \"mx1.example.net\"",
		strict, f.log, strings.Join(urls, ", ")))
	f.milter.Start(t)
	s := f.stream(accept)
	s.wait(3)
	before, _ := f.verdicts(5)
	f.waitFor("helo_milter_fleet_spool_bytes", "<=", 0)
	rig.Eventually(t, func() error { // the replica has it, too
		if all, _ := f.records(); all < len(before) {
			return fmt.Errorf("the replica has %d records", all)
		}
		return nil
	})
	sentinels.Server.Stop()
	during, _ := f.verdicts(5)
	if !slices.Equal(before, during) {
		t.Errorf("before\n%s\nduring the failover\n%s", strings.Join(before, "\n"), strings.Join(during, "\n"))
	}
	rig.Eventually(t, func() error {
		role, err := f.redis.Do("ROLE")
		if err == nil && !strings.HasPrefix(fmt.Sprint(role), "[master") {
			err = fmt.Errorf("the replica is %v", role)
		}
		return err
	})
	s.wait(5)
	if messages, passed := s.end(); passed != messages || s.slowest > 4*time.Second {
		t.Errorf("%d messages bypassed the milter, the slowest took %v", messages-passed, s.slowest)
	}
	f.settle(true) // what the replica had not got when the server ended
}

// lastNumbers looks at how many records the last one in the stream says were dropped before it.
func (f *fleetTest) lastNumbers(right func(dropped string) bool) {
	f.Helper()
	last, err := f.redis.Client.XRevRangeN(f.Context(), "helo-milter:decisions:mx1.example.net", "+", "-", 1).Result()
	if err != nil || len(last) != 1 {
		f.Fatalf("%v, %v", last, err)
	}
	numbers := strings.Fields(fmt.Sprint(last[0].Values["n"]))
	if len(numbers) != 3 || !right(numbers[2]) {
		f.Errorf("the last record's numbers are %v", numbers)
	}
}
