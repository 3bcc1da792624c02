package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"time"

	"helo-milter/integration/rig"
)

const fleetResolver = "192.0.2.207"

// mostGrowth is what a fault of the server may add to the 99th percentile of decisions, beside a server that answers.
const mostGrowth = 2 * time.Millisecond

// member is a milter of a fleet, and what becomes of its server while mail comes in. Each has a server of its own.
type member struct {
	name       string
	server     string // the address that it knows, "" without a fleet
	redis      *rig.Redis
	begin, end func() // of the fault, nil without one

	program     *program
	milter      *rig.Milter
	paced, fast []memberRound
}

// memberRound is what a round has measured.
type memberRound struct {
	cost
	ms50, ms99 float64 // of the field ms of the decisions, in microseconds
	server     float64 // CPU of the server, in microseconds a message
	answered   float64 // of a hundred questions to the server
	dropped    float64 // records that the stream does not get
}

// members are measured in this order of rows. The second shows the noise, and the third what a fleet costs.
func members(t rig.T) []*member {
	healthy, stopped, slow, refused := rig.StartRedis(t), rig.StartRedis(t), rig.StartRedis(t), rig.StartRedis(t)
	proxy := rig.StartSlowProxy(t, slow.Addr)
	return []*member{
		{name: "no fleet"},
		{name: "no fleet, again"},
		{name: "a fleet", server: healthy.Addr, redis: healthy},
		{name: "its server stands still", server: stopped.Addr, begin: stopped.Pause, end: stopped.Resume},
		{
			name: "its server is 5 s away", server: proxy.Addr,
			begin: func() { proxy.Slow(5 * time.Second) }, end: func() { proxy.Slow(0) },
		},
		{name: "connections are refused", server: refused.Addr, begin: refused.Stop, end: refused.Start},
	}
}

// fleet measures what it costs to share decisions through a server, and what it costs when the server is in trouble.
func fleet(t rig.T, out io.Writer, plan plan) {
	serve(t, fleetResolver, 0)
	clients := pool{size: plan.clients}
	all := members(t)
	healthy := all[2]
	for _, m := range all {
		m.start(t)
		if m != healthy {
			m.program.warm(t, clients)
		}
	}
	shared := healthy.share(t, clients, 10*plan.round)
	for range plan.rounds {
		for _, i := range rand.Perm(len(all)) {
			m := all[i]
			m.paced = append(m.paced, m.measure(t, clients, 10*plan.round, paced(besideRate, anyOf(clients.size))))
		}
	}
	for range 2 * plan.rounds {
		for _, i := range rand.Perm(len(all)) {
			m := all[i]
			m.fast = append(m.fast, m.measure(t, clients, 2*plan.round, anyOf(clients.size)))
		}
	}
	fmt.Fprintf(out, fleetTitle, besideRate, plan.rounds, 10*plan.round)
	printPaced(out, all, healthy)
	fmt.Fprintf(out, "\nThe same as fast as they can come, in %d rounds of %v:\n\n", 2*plan.rounds, 2*plan.round)
	printFast(t, out, all)
	shared.print(t, out, healthy.redis)
}

const fleetTitle = `
## What a fleet costs

Messages on a unix socket, 16 at a time, %d a second, DNS answers cached, no decision_log; %d interleaved rounds
of %v, medians of each round's. Each milter has a redis-server of its own on loopback, whose CPU is not the
milter's. A fault begins just before each round, and ends after it; before the next one the stream has all records.
A decision's time is the field ms of its line in the log: from MAIL to the end of the message.

`

// start starts the milter, and waits until its server answers.
func (m *member) start(t rig.T) {
	section := ""
	if m.server != "" {
		section = fmt.Sprintf("[fleet]\nredis = [\"redis://%s\"]\nhost = %q", m.server, fleetHost)
	}
	m.program = &program{name: m.name}
	m.milter = m.program.startOurs(t, fleetResolver, "", "", section)
	m.program.wait(t)
	if m.server != "" {
		m.await(t, "helo_milter_fleet_up", 1)
	}
}

// await waits until a series has a value.
func (m *member) await(t rig.T, series string, value float64) {
	t.Helper()
	rig.Eventually(t, func() error {
		if is := rig.Metrics(t, m.program.http)[series]; is != value {
			return fmt.Errorf("%s: %s is %v", m.name, series, is)
		}
		return nil
	})
}

// measure plays sessions for a round, with the fault.
func (m *member) measure(t rig.T, clients pool, length time.Duration, next picker) memberRound {
	m.milter.ResetLog()
	seen := rig.Metrics(t, m.program.http)
	if m.begin != nil {
		m.begin()
	}
	before, serverBefore := m.program.used(t), m.serverUsed(t)
	l := clients.play(m.program.sockets["unix"], 16, false, during(length, next))
	l.enough(t, m.name)
	after, serverAfter := m.program.used(t), m.serverUsed(t)
	now := rig.Metrics(t, m.program.http)
	if m.end != nil {
		m.end()
	}
	if m.server != "" {
		m.await(t, "helo_milter_fleet_spool_bytes", 0)
	}
	n, ms := float64(len(l.times)), loggedTimes(t, m.milter.Log())
	grown := func(series string) float64 { return now[series] - seen[series] }
	const questions = "helo_milter_fleet_questions_total"
	asked := rig.Sum(now, questions) - rig.Sum(seen, questions)
	return memberRound{
		cost: cost{
			cpu: micros(after.cpu-before.cpu) / n, rate: n / l.took.Seconds(),
			p50: micros(quantile(l.times, 0.50)), p99: micros(quantile(l.times, 0.99)),
		},
		ms50: micros(quantile(ms, 0.50)), ms99: micros(quantile(ms, 0.99)),
		server:   micros(serverAfter.cpu-serverBefore.cpu) / n,
		answered: 100 * grown(questions+`{result="answered"}`) / max(1, asked),
		dropped:  grown("helo_milter_fleet_dropped_total"),
	}
}

// serverUsed is what a server has used that always runs.
func (m *member) serverUsed(t rig.T) usage {
	if m.redis == nil {
		return usage{}
	}
	return usedNow(t, []int{m.redis.Pid()})
}

var loggedTime = regexp.MustCompile(`(?m) ms=([0-9.]+)`)

// loggedTimes are the times that decisions took according to the log, from MAIL to the end of the message, sorted.
func loggedTimes(t rig.T, log string) (times []time.Duration) {
	for _, field := range loggedTime.FindAllStringSubmatch(log, -1) {
		ms, err := strconv.ParseFloat(field[1], 64)
		if err != nil {
			t.Fatalf("%v", err)
		}
		times = append(times, time.Duration(ms*float64(time.Millisecond)))
	}
	slices.Sort(times)
	return times
}

func printPaced(out io.Writer, all []*member, healthy *member) {
	tab := table{head: []string{
		"the fleet", "messages/s", "session: p50 ms", "p99", "decision: p50 ms", "p99", "more than without",
		"than with a fleet", fmt.Sprintf("at most %v", mostGrowth), "CPU µs", "ratio", "server µs",
		"answered %", "dropped",
	}}
	for _, m := range all {
		c := median(costs(m.paced))
		more, met := "", ""
		if m.begin != nil {
			growth := m.growth(healthy)
			more, met = millis(growth), verdict(growth <= micros(mostGrowth))
		}
		tab.row(m.name, whole(c.rate), millis(c.p50), millis(c.p99),
			millis(of(m.paced, func(r memberRound) float64 { return r.ms50 })),
			millis(of(m.paced, func(r memberRound) float64 { return r.ms99 })), millis(m.growth(all[0])), more, met,
			whole(c.cpu), against(costs(m.paced), costs(all[0].paced)), m.ofServer(m.paced), m.ofAnswers(m.paced),
			whole(of(m.paced, func(r memberRound) float64 { return r.dropped })))
	}
	tab.print(out)
}

func printFast(t rig.T, out io.Writer, all []*member) {
	tab := table{head: []string{
		"the fleet", "CPU µs", "ratio", "server µs", "decisions/s", "answered %", "dropped", "MiB at the end", "at most",
	}}
	for _, m := range all {
		c := median(costs(m.fast))
		tab.row(m.name, whole(c.cpu), against(costs(m.fast), costs(all[0].fast)), m.ofServer(m.fast), whole(c.rate),
			m.ofAnswers(m.fast), whole(of(m.fast, func(r memberRound) float64 { return r.dropped })),
			mebi(m.program.used(t).memory), mebi(m.program.most(t)))
	}
	tab.print(out)
}

// growth is how much more the 99th percentile of decisions is than another's, by the median of the rounds.
func (m *member) growth(than *member) float64 {
	var more []float64
	for i, r := range m.paced {
		more = append(more, r.ms99-than.paced[i].ms99)
	}
	return middle(more)
}

// ofServer and ofAnswers are cells that are empty where there is nothing to tell.
func (m *member) ofServer(rounds []memberRound) string {
	if m.redis == nil {
		return ""
	}
	return whole(of(rounds, func(r memberRound) float64 { return r.server }))
}

func (m *member) ofAnswers(rounds []memberRound) string {
	if m.server == "" {
		return ""
	}
	return whole(of(rounds, func(r memberRound) float64 { return r.answered }))
}

// of is the median of a value.
func of(rounds []memberRound, value func(memberRound) float64) float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, value(r))
	}
	return middle(all)
}

func costs(rounds []memberRound) (all []cost) {
	for _, r := range rounds {
		all = append(all, r.cost)
	}
	return all
}
