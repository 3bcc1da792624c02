package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"helo-milter/checks/checkstest"
	"helo-milter/integration/rig"
)

// consoleSessions are clients of the rig, what they say, and how many of the kind there are on a day.
var consoleSessions = []struct {
	client, script string
	day            int
}{
	{"203.0.113.10", "EHLO mail.example.org", 9},
	{"203.0.113.20", "EHLO out.example.org", 7},
	{"203.0.113.21", "EHLO host.example.com", 5},
	{"203.0.113.30", "EHLO friend", 2},
	{"203.0.113.31", "EHLO localhost", 1},
	{"203.0.113.30", "EHLO 203.0.113.30", 2},
	{"203.0.113.32", "EHLO mx.example.net", 1},
	{"203.0.113.41", "EHLO relay41.example.org", 2},
	{"203.0.113.66", "EHLO mail.servfail.example.org", 1},
}

// consoleScripts would run in a page that has them as they are.
var consoleScripts = []string{`<script>window.broken=1</script>`, `"><img/src=x/onerror=window.broken=1>`, `'onload='window.broken=1`}

// consoleRig is a Postfix whose milter has a console.
type consoleRig struct {
	milter  *rig.Milter
	mx      rig.MTA
	log     string // the decision log
	console string // the address of its first page
}

func startConsole(t *testing.T, more string) *consoleRig {
	t.Helper()
	r := &consoleRig{}
	host := fmt.Sprintf("127.0.0.1:%d", rig.FreePort())
	r.console = "http://" + host + "/console/"
	r.milter = rig.StartMilter(t, "unix", fmt.Sprintf("timeout = '2s'\ndecision_log = 'decisions.jsonl'\n[http]\nlisten = %q\n"+
		"console = true\n%s", host, more))
	r.log = filepath.Join(r.milter.Dir, "decisions.jsonl")
	r.mx = rig.Start(t, "Postfix", rig.StartSink(t), r.milter.Socket, "smtpd_soft_error_limit = 99")
	return r
}

func (r *consoleRig) say(t *testing.T, client, script string) {
	t.Helper()
	from := netip.MustParseAddr(client)
	rig.Talk(t, from, r.mx.Endpoint(from), script+toNet, rig.Message)
}

// history adds what the sessions of today would have been on each of the last days, from other clients, too, to the
// decision log of a milter that does not run.
func (r *consoleRig) history(t *testing.T, days int) {
	t.Helper()
	text, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	n := 0
	for day := days; day > 0; day-- {
		for i, line := range strings.SplitAfter(string(text), "\n")[:len(consoleSessions)] {
			var record struct {
				Time   time.Time
				ID     string
				Client string
			}
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatal(err)
			}
			for j := range consoleSessions[i].day * (6 - day%7/5*3) {
				n++
				other := fmt.Sprintf("198.51.100.%d", 1+i*25+(n+day)%25)
				then := record.Time.AddDate(0, 0, -day).Add(-time.Duration(17*j) * time.Minute)
				out.WriteString(strings.NewReplacer(`"`+record.Client+`"`, `"`+other+`"`,
					record.Time.Format(time.RFC3339Nano), then.Format(time.RFC3339Nano),
					record.ID, fmt.Sprintf("%s%04d", record.ID[:22], n)).Replace(line))
			}
		}
	}
	if err := os.WriteFile(r.log, []byte(out.String()+string(text)), 0o640); err != nil {
		t.Fatal(err)
	}
}

// The console in a real browser: its pages in both themes at three widths, with and without script, and what changes
// without a reload.
func TestConsole(t *testing.T) {
	t.Parallel()
	r := startConsole(t, "")
	for _, s := range consoleSessions {
		r.say(t, s.client, s.script)
	}
	r.milter.Stop(t)
	r.history(t, 20)
	r.milter.Start(t)
	b := startBrowser(t)
	b.open(r.console)
	b.holds("#rows", "friend") // of the decision log
	r.tries(t, b, true)
	for _, s := range consoleSessions {
		r.say(t, s.client, s.script)
	}
	b.open(r.console)
	b.holds("#rows", "relay41")
	b.looks("console-")
	for _, text := range append(slices.Collect(maps.Values(checkstest.Hostile(t))), consoleScripts...) {
		if !strings.ContainsAny(text, "\r\n|") && len(text) < 400 {
			r.say(t, "203.0.113.33", "EHLO "+text)
		}
	}
	b.open(r.console)
	b.evaluate(`window.marker = "not reloaded"`)
	r.live(t, b)
	if got := b.evaluate(`window.marker`); got != "not reloaded" {
		t.Errorf("the page was reloaded: %s", got)
	}
	r.opens(t, b)
	b.script(false)
	b.open(r.console + "?helo=live")
	b.holds("#rows", "live-two")
	b.holds(".plain", "Reload")
	r.tries(t, b, false)
	b.script(true)
	pages := []string{
		"?helo=script", "?want=refuse&rule=helo-not-fqdn", "clients", "clients?helo=friend", "client/203.0.113.30", "rules",
		"rules/helo-not-fqdn", "days", "dns", "whatif", "nowhere",
	}
	for _, page := range pages {
		b.open(r.console + page)
		b.looks("console-" + strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "-").Replace(page))
	}
	b.script(false)
	for _, page := range pages {
		b.open(r.console + page)
		b.reads(page)
	}
	b.script(true)
	b.quiet(strings.TrimPrefix(strings.TrimSuffix(r.console, "/console/"), "http://"))
}

// live says something to the mail server while the page is open, while it is paused, and after that.
func (r *consoleRig) live(t *testing.T, b *browser) {
	t.Helper()
	r.say(t, "203.0.113.30", "EHLO live-one")
	b.holds("#rows tr", "live-one")
	b.click("#pause")
	r.say(t, "203.0.113.30", "EHLO live-two")
	b.holds("#more", "1 new")
	if got := b.evaluate(`document.getElementById("rows").textContent`); strings.Contains(got, "live-two") {
		t.Errorf("a paused page shows what is new: %s", got)
	}
	b.click("#pause")
	b.holds("#rows tr", "live-two")
}

// opens opens the first row: the page has what the command show prints, and an entry that the configuration takes.
func (r *consoleRig) opens(t *testing.T, b *browser) {
	t.Helper()
	b.click("#rows tr a")
	b.holds("main pre", "live-two")
	id := b.evaluate(`document.querySelector("h1 .mono").textContent`)
	shown, exit := rig.RunMilter(t, "show", id, r.log)
	if got := b.evaluate(`document.querySelector("main pre").textContent`); got != shown || exit != 0 {
		t.Errorf("the page has\n%s\nshow prints\n%s", got, shown)
	}
	b.looks("console-decision")
	b.click("details summary")
	if got := b.evaluate(`document.querySelector("details pre").textContent`); !strings.Contains(got, "Subject: HELO name") {
		t.Errorf("the letter is %q", got)
	}
}

// tries tries the profile strict, and compares what the page says with what replay says.
func (r *consoleRig) tries(t *testing.T, b *browser, script bool) {
	t.Helper()
	b.open(r.console + "whatif")
	b.click(`input[value="strict"]`)
	b.click("main button")
	b.holds("#replay", "DAEMON") // by an event, or else by a refresh
	config := filepath.Join(t.TempDir(), "strict.toml")
	if err := os.WriteFile(config, []byte("profile = 'strict'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want, _ := rig.RunMilter(t, "--config", config, "replay", "--recorded-dns", r.log)
	if got := b.evaluate(`document.getElementById("replay").textContent`); got != want {
		t.Errorf("script %v: the page has\n%s\nreplay prints\n%s", script, got, want)
	}
	if script {
		b.looks("console-trial")
	}
}

// holds waits until an element has a text.
func (b *browser) holds(selector, text string) {
	b.Helper()
	rig.Eventually(b, func() error {
		got, err := chromedp.Run(b.tab, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector(%q)?.textContent ?? "none"`, selector)))
		if err == nil && !strings.Contains(got, text) {
			err = fmt.Errorf("%s has %.500q, want %q", selector, got, text)
		}
		return err
	})
}

// looks looks for what a reader has trouble with, in both themes at three widths, and whether text of the network has
// become a part of the page.
func (b *browser) looks(name string) {
	b.Helper()
	b.loadAxe()
	const check = `(document.documentElement.scrollWidth > innerWidth ? "too wide: " + [...document.querySelectorAll("body *")].
		filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML.slice(0, 100)).join(" ") : "") +
		(window.broken || document.querySelector("main img, main script") ? "broken " : "")`
	for _, width := range []int64{360, 800, 1200} {
		for _, colours := range []string{"dark", "light"} {
			script := check
			if width == 360 == (colours == "dark") && width != 1200 { // each theme and each layout once
				script = `axe.run().then(r => r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).join(" ")).join("\n") + ` + check + `)`
			}
			b.wear(width, colours)
			found, err := chromedp.Run(b.tab, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
			if err != nil || found != "" {
				b.Errorf("%s, %d, %s: %s, %v", name, width, colours, found, err)
			}
			b.picture(fmt.Sprintf("%s-%d-%s.png", name, width, colours))
			if *update && width == 1200 && colours == "light" && slices.Contains(consolePictures, name) {
				b.keep(name)
			}
		}
	}
}

// reads requires of a page without script that it says something, fits, and offers nothing that takes a script.
func (b *browser) reads(page string) {
	b.Helper()
	got := b.evaluate(`[document.querySelectorAll("main h1").length, document.querySelectorAll(".scripted:not([hidden]), .quiet").length,
		document.documentElement.scrollWidth > innerWidth, main.innerText.length > 30].join(" ")`)
	if got != "1 0 false true" {
		b.Errorf("%s without script: %s", page, got)
	}
}

// consolePictures are those that the room's README has.
var consolePictures = []string{"console-", "console-rules", "console-trial"}

// keep writes the picture of a page that README has.
func (b *browser) keep(name string) {
	b.Helper()
	b.evaluate(`scrollTo(0, 0), ""`)
	picture, err := chromedp.Run(b.tab, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join("../examples", strings.TrimSuffix(name, "-")+".png"), picture, 0o644)
	}
	if err != nil {
		b.Error(err)
	}
}

// picture writes a picture of the page where SCREENSHOTS names a directory.
func (b *browser) picture(name string) {
	b.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.tab, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), picture, 0o600)
	}
	if err != nil {
		b.Error(err)
	}
}

// wear sets the width of the page, and its colours.
func (b *browser) wear(width int64, colours string) {
	b.Helper()
	scheme := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}}
	media := emulation.SetEmulatedMediaParams{Features: scheme}
	if _, err := chromedp.Call(b.tab, emulation.SetEmulatedMedia, media); err != nil {
		b.Fatal(err)
	}
	if err := chromedp.Do(b.tab, chromedp.EmulateViewport(width, 900)); err != nil {
		b.Fatal(err)
	}
}
