package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"helo-milter/integration/rig"
)

const (
	fleetHost   = "mx1.example.net"
	fleetStream = "helo-milter:decisions:" + fleetHost
)

// sharing is what sessions ask of the server: commands a message, by name.
type sharing struct {
	first, again map[string]float64 // of clients that come for the first time, and of known ones
	took         map[string]float64 // CPU of one command, in microseconds
	inTime       float64            // of a hundred decisions of known ones
}

// share plays a session of each client, and then sessions of known ones at the fixed rate, and counts the commands.
func (m *member) share(t rig.T, clients pool, length time.Duration) (s sharing) {
	messages := func() float64 { return rig.Metrics(t, m.program.http)["helo_milter_decision_seconds_count"] }
	counted := func(play func()) map[string]float64 {
		before, n := statistics(t, m.redis, "calls"), messages()
		play()
		m.milter.WaitDisconnected(t) // all is decided
		m.await(t, "helo_milter_fleet_spool_bytes", 0)
		after := statistics(t, m.redis, "calls")
		n = messages() - n
		for name, calls := range after {
			after[name] = (calls - before[name]) / n
		}
		return after
	}
	s.first = counted(func() { m.program.warm(t, clients) })
	s.again = counted(func() {
		l := clients.play(m.program.sockets["unix"], 16, false, during(length, paced(besideRate, anyOf(clients.size))))
		l.enough(t, m.name)
	})
	s.inTime = inTime(lastRecords(t, m.redis))
	s.took = statistics(t, m.redis, "usec_per_call")
	return s
}

// ofOurs are the commands that this program asks for.
var ofOurs = []string{"info", "xrevrange"}

// statistics returns a field of the server's statistics, by command.
func statistics(t rig.T, r *rig.Redis, field string) map[string]float64 {
	t.Helper()
	text, err := r.Client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatalf("%v", err)
	}
	values := map[string]float64{}
	line := regexp.MustCompile(`(?m)^cmdstat_([a-z|]+):.*?\b` + field + `=([0-9.]+)`)
	for _, found := range line.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(ofOurs, found[1]) {
			values[found[1]], _ = strconv.ParseFloat(found[2], 64)
		}
	}
	return values
}

// print prints the commands, and what the server holds after all rounds, which it holds no more then.
func (s sharing) print(t rig.T, out io.Writer, r *rig.Redis) {
	fmt.Fprintf(out, commandsTitle, besideRate)
	tab := table{head: []string{"command", "first message of a client", "a later one", "CPU µs"}}
	first, again := 0.0, 0.0
	for _, name := range slices.Sorted(maps.Keys(s.again)) {
		first, again = first+s.first[name], again+s.again[name]
		tab.row(name, hundredths(s.first[name]), hundredths(s.again[name]), hundredths(s.took[name]))
	}
	tab.row("all", hundredths(first), hundredths(again), "")
	tab.print(out)

	fmt.Fprintf(out, bytesTitle, s.inTime, inTime(lastRecords(t, r)))
	printBytes(t, out, r)
}

// printBytes prints what the server holds, and takes it away.
func printBytes(t rig.T, out io.Writer, r *rig.Redis) {
	records := lastRecords(t, r)
	ctx, sum := context.Background(), 0
	for _, record := range records {
		sum += len(record)
	}
	decisions := float64(r.Client.XLen(ctx, fleetStream).Val())
	_, ofStream := holds(t, r, fleetStream)
	names, ofNames := holds(t, r, "helo-milter:helo:*")
	clients, ofClients := holds(t, r, "helo-milter:client:*")
	before := usedMemory(t, r)
	r.Client.Del(ctx, fleetStream)
	without := usedMemory(t, r)
	r.Client.FlushAll(ctx)
	nothing := usedMemory(t, r)

	tab := table{head: []string{"what", "number", "bytes each", "MEMORY USAGE", "used_memory"}}
	tab.row("records, as JSON", len(records), sum/len(records), "", "")
	each := func(what string, n, usage float64, used string) {
		tab.row(what, whole(n), "", whole(usage/n), used)
	}
	each("decisions in the stream", decisions, ofStream, whole((before-without)/decisions))
	each("HELO names", names, ofNames, "")
	each("clients", clients, ofClients, "")
	each("pairs of both", clients, ofNames+ofClients, whole((without-nothing)/clients))
	tab.print(out)
}

const commandsTitle = `
### What the server is asked for

Commands a message by the server's own account (INFO commandstats); in the second column with %d messages a second.
The few of the host are among them: hget each second, and zadd and zremrangebyscore every 5 seconds. The CPU of exec
is that of the commands before it, too.

`

const bytesTitle = `
Both answers were in time for %.1f %% of decisions then, and for %.1f %% of those as fast as they can come.

### What the server holds

Bytes of each: by MEMORY USAGE, which is an estimate for a stream, and by what used_memory falls by when it is
deleted, with the tables of keys and of when they expire. Each client says one name, which no other one says.

`

// holds counts the keys of a pattern and their bytes.
func holds(t rig.T, r *rig.Redis, pattern string) (keys, bytes float64) {
	t.Helper()
	sums, err := r.Client.Eval(context.Background(), `local n, sum = 0, 0
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
	n, sum = n + 1, sum + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')
end
return {n, sum}`, nil, pattern).Int64Slice()
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	return float64(sums[0]), float64(sums[1])
}

// lastRecords are the last ones in the stream, up to a thousand.
func lastRecords(t rig.T, r *rig.Redis) (records []string) {
	t.Helper()
	last, err := r.Client.XRevRangeN(context.Background(), fleetStream, "+", "-", 1000).Result()
	if err != nil || len(last) == 0 {
		t.Fatalf("%d records, %v", len(last), err)
	}
	for _, entry := range last {
		records = append(records, fmt.Sprint(entry.Values["r"]))
	}
	return records
}

// inTime is how many of a hundred records have both answers of the server: about the client, and about its name.
func inTime(records []string) float64 {
	both := 0
	for _, record := range records {
		if strings.Count(record, `"seen":`) == 2 {
			both++
		}
	}
	return 100 * float64(both) / float64(len(records))
}

// usedMemory is what the server uses, in bytes.
func usedMemory(t rig.T, r *rig.Redis) float64 {
	t.Helper()
	text, err := r.Client.Info(context.Background(), "memory").Result()
	found := regexp.MustCompile(`(?m)^used_memory:([0-9]+)\r?$`).FindStringSubmatch(text)
	if err != nil || found == nil {
		t.Fatalf("used_memory: %v", err)
	}
	bytes, _ := strconv.ParseFloat(found[1], 64)
	return bytes
}

func hundredths(f float64) string { return fmt.Sprintf("%.2f", f) }
