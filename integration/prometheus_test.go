package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"helo-milter/integration/rig"
)

const rulesFile = "helo-milter.rules.yml"

var ruleTests = []string{"testdata/prometheus/rules_test.yml", "testdata/prometheus/rules_day_test.yml"}

// The rules are right as promtool has it, with their own durations, and each has a test.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"check", "config", "../examples/prometheus/prometheus.yml"}, // and the rules that it names
		append([]string{"test", "rules"}, ruleTests...),
	} {
		if out, err := rig.Promtool(args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", args[0], err, out)
		}
	}
	tests := ""
	for _, file := range ruleTests {
		tests += readFile(t, file)
	}
	rules := readFile(t, "../examples/prometheus/"+rulesFile)
	names := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	for _, name := range names {
		if !strings.Contains(tests, fmt.Sprintf(`alertname="%s"`, name[1])) {
			t.Errorf("no test of %s", name[1])
		}
	}
	if len(names) < 10 {
		t.Errorf("%d alerts", len(names))
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// onCall is a Prometheus that scrapes two milters by the files of examples/prometheus. mx loses its log and its
// DNS, and mx2 has its connections and files used up, and is restarted and stopped.
type onCall struct {
	*testing.T
	began      time.Time
	prometheus *rig.Prometheus
	resolver   *rig.OwnResolver // of mx
	mx, mx2    *rig.Milter
	redis      *rig.Redis // that mx2 shares
	at, at2    string     // their addresses of /metrics, which are the labels instance
}

// Each alert of examples/prometheus fires when what it is about happens, and none before; and each panel of
// the dashboard has something to show. Only errors of the milter's own, and what is wrong with its own sending hosts,
// do not happen here: promtool tests those alerts.
func TestOnCall(t *testing.T) {
	t.Parallel()
	o := startOnCall(t)
	stop := o.traffic()
	o.everyPanel()
	for _, alert := range o.firing() {
		if !strings.HasPrefix(alert, "Absent") {
			t.Errorf("%s fires before anything happened", alert)
		}
	}
	var troubles sync.WaitGroup
	troubles.Go(o.failReload)
	troubles.Go(o.dropLog)
	troubles.Go(func() { o.refuseMore(); o.failDNS(); o.fillPlaces() })
	troubles.Go(func() { o.connect(); o.askBlockList(); o.loseFleet(); o.restart() })
	troubles.Wait()
	stop()
}

// startOnCall starts all. Prometheus scrapes and evaluates twice a second, and has the rules with shorter times:
// no alert waits ("for"), and hours are seconds.
func startOnCall(t *testing.T) *onCall {
	t.Helper()
	o := &onCall{T: t, began: time.Now(), resolver: rig.StartResolver(t), redis: rig.StartRedis(t)}
	start := func(config string) (milter *rig.Milter, at string) {
		at = fmt.Sprintf("127.0.0.1:%d", rig.FreePort())
		milter = rig.NewMilter(t, "unix", fmt.Sprintf("%s[http]\nlisten = %q\n", config, at))
		milter.Plain = true // the race detector would make it slow
		milter.Start(t)
		return milter, at
	}
	fifo := filepath.Join(t.TempDir(), "decisions") // that nobody reads
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	o.mx, o.at = start(fmt.Sprintf(`mode = "enforce"
profile = "strict"
decision_log = %q
[dns]
servers = [%q]
`, fifo, o.resolver.Addr))
	o.mx2, o.at2 = start(fmt.Sprintf("[lists]\ndomain = [\"closed.example\"]\n[limits]\nconnections = 10\n"+
		"[fleet]\nredis = [\"redis://%s\"]\n", o.redis.Addr))
	rules := readFile(t, "../examples/prometheus/"+rulesFile)
	rules = regexp.MustCompile(`for: \S+`).ReplaceAllString(rules, "for: 0s")
	rules = strings.NewReplacer("[10m]", "[4s]", "[15m]", "[4s]", "[1h]", "[4s]", "[1d]", "[5s]",
		"offset 1h", "offset 4s", "offset 25h", "offset 5s").Replace(rules)
	scrape := readFile(t, "../examples/prometheus/prometheus.yml")
	scrape = strings.Replace(scrape, `targets: ["127.0.0.1:9891"]`, fmt.Sprintf("targets: [%q, %q]", o.at, o.at2), 1)
	const often = "global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\n"
	o.prometheus = rig.StartPrometheus(t, map[string]string{rulesFile: rules, "prometheus.yml": often + scrape})
	return o
}

// traffic has clients of all kinds connect to mx, until stop is called: good ones that are not in the cache, one
// that is refused, one whose DNS fails, one whose name the MTA calls forged, and one that speaks no milter
// protocol. One message goes through mx2.
func (o *onCall) traffic() (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	o.session(o.mx2, good, "mail.example.org")
	go func() {
		defer close(done)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			fleet := rig.FleetFirst + n%(rig.FleetLast-rig.FleetFirst)
			o.session(o.mx, fmt.Sprintf("198.51.100.%d", fleet), fmt.Sprintf("fleet%d.example.org", fleet))
			switch n % 4 {
			case 0:
				o.session(o.mx, good, "friend")
			case 1:
				o.session(o.mx, "203.0.113.66", "mail.example.org")
			case 2:
				o.session(o.mx, good, "mail.example.org", "{client_resolve}", "FORGED")
			case 3:
				o.mx.Send(o, "EHLO mail.example.org\r\n")
			}
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended); <-done }
}

// session is a client's session up to RCPT, of an MTA that sends more macros.
func (o *onCall) session(m *rig.Milter, client, helo string, macros ...string) {
	c, err := m.DialFrames()
	if err != nil {
		o.Error(err)
		return
	}
	defer c.Close()
	known := rig.Frame('D', "C"+strings.Join(append(macros, "j", "mx.example.net"), "\x00")+"\x00")
	for _, step := range []struct{ frames, codes string }{
		{rig.Optneg, "O"},
		{known + rig.Frame('C', helo+"\x004\x09\xdd"+client+"\x00"), "c"},
		{rig.Frame('H', helo+"\x00"), "c"},
		{rig.Envelope(), "cy"},
		{rig.Frame('A', "") + rig.Frame('Q', ""), ""},
	} {
		err = errors.Join(err, c.Say(step.frames, step.codes))
	}
	if err != nil {
		o.Errorf("%s, %s: %v", client, helo, err)
	}
}

// everyPanel waits until each query of the dashboard has data.
func (o *onCall) everyPanel() {
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readFile(o.T, "../examples/grafana/helo-milter.json")), &dashboard); err != nil {
		o.Fatal(err)
	}
	queries := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5s", "$instance", ".+").Replace(target.Expr)
			rig.Eventually(o, func() error {
				samples, err := o.prometheus.Query(expr)
				isNumber := func(s rig.Sample) bool { return !math.IsNaN(s.Value) }
				if err == nil && !slices.ContainsFunc(samples, isNumber) {
					err = fmt.Errorf("panel %q has no data: %s: %v", panel.Title, expr, samples)
				}
				return err
			})
			queries++
		}
	}
	o.Logf("%d panels, %d queries", len(dashboard.Panels), queries)
}

// annotations requires that each alert says where it is, and what to do.
func (o *onCall) annotations() {
	alerts, err := o.prometheus.Alerts()
	if err != nil {
		o.Fatal(err)
	}
	for _, a := range alerts {
		summary := a.Annotations["summary"]
		if !strings.Contains(summary, a.Labels["instance"]) || strings.Contains(summary, "<") ||
			a.Annotations["runbook"] == "" {
			o.Errorf("%s: %q", a.Labels["alertname"], a.Annotations)
		}
	}
}

// firing returns the alerts that have fired, without HeloMilter, with the host. On a machine that is slow, a
// scrape may take too long: then Absent fires.
func (o *onCall) firing() (fired []string) {
	samples, err := o.prometheus.Query(`max_over_time(ALERTS{alertstate="firing"}[10m])`)
	if err != nil {
		o.Fatal(err)
	}
	hosts := map[string]string{o.at: "mx", o.at2: "mx2"}
	for _, s := range samples {
		name := strings.TrimPrefix(s.Labels["alertname"], "HeloMilter")
		fired = append(fired, name+" "+hosts[s.Labels["instance"]])
	}
	slices.Sort(fired)
	return fired
}

// until repeats an action until an alert has fired.
func (o *onCall) until(alert string, do func()) {
	rig.Eventually(o, func() error {
		if slices.Contains(o.firing(), alert) {
			return nil
		}
		do()
		return fmt.Errorf("%s has not fired", alert)
	})
	o.annotations()
	o.Logf("%v: %s", time.Since(o.began).Round(100*time.Millisecond), alert)
}

// untilFired waits until an alert has fired.
func (o *onCall) untilFired(alert string) { o.until(alert, func() {}) }

func (o *onCall) failReload() {
	o.mx.Configure(o, "mode = \"enforced\"\n")
	o.mx.Signal(o, syscall.SIGHUP)
	o.untilFired("ReloadFailed mx")
}

func (o *onCall) dropLog() {
	rcpts := strings.Repeat(rig.Frame('R', "<"+strings.Repeat("x", 1000)+"@example.net>\x00"), 60)
	c := o.dial(o.mx)
	defer c.Close()
	err := c.Greet(good, "mail.example.org")
	o.until("LogDropped mx", func() {
		for range 10 {
			err = errors.Join(err, c.Say(rig.Frame('M', "<sender@example.org>\x00")+rcpts, "c"))
			for range 59 {
				err = errors.Join(err, c.Say("", "c"))
			}
			err = errors.Join(err, c.Say(rig.Frame('A', ""), ""))
		}
		if err != nil {
			o.Fatal(err)
		}
	})
}

// refuseMore has very many refused at once, and once more when that is no longer part of the day before.
func (o *onCall) refuseMore() {
	var next time.Time
	o.until("RefusalsTripled mx", func() {
		if time.Now().Before(next) {
			return
		}
		for range 60 {
			o.session(o.mx, good, "friend")
		}
		next = time.Now().Add(10 * time.Second)
	})
}

// fillPlaces has sessions greet with names whose server is silent: once eight questions about their domain have been
// out for 400 ms, others have to wait, and wait too long. It keeps the sessions, since no question waits without.
func (o *onCall) fillPlaces() {
	o.resolver.Start(o)
	o.resolver.Freeze(o)
	names, next := 0, time.Time{}
	o.until("DNSQuestionsRefused mx", func() {
		if time.Now().Before(next) {
			return
		}
		c := o.dial(o.mx)
		o.Cleanup(func() { _ = c.Close() })
		err := c.Greet(good, "mail.example.org")
		for n := range 15 {
			if n == 3 { // three names are nine questions
				time.Sleep(time.Second)
			}
			names++
			err = errors.Join(err, c.Say(rig.Frame('H', fmt.Sprintf("n%d.example.org\x00", names)), "c"))
		}
		if err != nil {
			o.Error(err)
		}
		next = time.Now().Add(5 * time.Second)
	})
}

// connect takes all but one of the connections of mx2, and then makes the files that it has open nearly all that
// it may have.
func (o *onCall) connect() {
	for range 9 {
		c := o.dial(o.mx2)
		defer c.Close()
		if err := c.Say(rig.Optneg, "O"); err != nil {
			o.Error(err)
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", o.mx2.Pid()))
	if err != nil {
		o.Error(err)
	}
	o.limitFiles(len(files) * 10 / 9)
	o.untilFired("FilesNearLimit mx2")
	o.untilFired("ConnectionsNearLimit mx2")
	o.limitFiles(1024)
}

// limitFiles sets the soft limit, which does not take the right to raise the hard one.
func (o *onCall) limitFiles(most int) {
	limit := fmt.Sprintf("--nofile=%d:", most)
	out, err := exec.Command("prlimit", "--pid", fmt.Sprint(o.mx2.Pid()), limit).CombinedOutput()
	if err != nil {
		o.Errorf("prlimit: %v\n%s", err, out)
	}
}

func (o *onCall) loseFleet() {
	o.redis.Pause()
	o.untilFired("FleetAlone mx2")
	o.redis.Resume()
}

func (o *onCall) askBlockList() {
	o.until("BlockListTrouble mx2", func() {
		for range 5 {
			o.session(o.mx2, good, "mail.example.org")
		}
	})
}

// failDNS ends the resolver. Names of many organizations are asked for, since those of one do not make the DNS
// degraded.
func (o *onCall) failDNS() {
	o.resolver.Kill(o)
	n := 0
	o.until("DNSDegraded mx", func() {
		for range 10 {
			o.session(o.mx, fmt.Sprintf("203.0.113.%d", n%200), fmt.Sprintf("mail.stranger%d.com", n))
			n++
		}
	})
	o.untilFired("DNSFailing mx")
}

func (o *onCall) restart() {
	o.mx2.Kill()
	o.mx2.Start(o)
	o.untilFired("Restarted mx2")
	o.mx2.Stop(o)
	o.untilFired("Absent mx2")
}

func (o *onCall) dial(m *rig.Milter) *rig.FrameConn {
	c, err := m.DialFrames()
	if err != nil {
		o.Fatal(err)
	}
	return c
}
