package integration

import (
	"fmt"
	"strings"
	"testing"

	"helo-milter/integration/rig"
)

// Any host's console shows what all hosts decide, as they do, with the host; also what was decided before it started,
// and, once the server is back, what was decided without it.
func TestFleetConsole(t *testing.T) {
	t.Parallel()
	redis := rig.StartRedis(t)
	hosts := startHosts(t, redis, "mx1.example.net", "mx2.example.net")
	hosts[0].says(t, "203.0.113.30", "before.example.org")
	for _, h := range hosts {
		h.milter.Stop(t)
		h.milter.Start(t)
	}
	b := startBrowser(t)
	console := "http://" + hosts[1].http + "/console/"
	b.comes(console, "#rows", "before.example.org")
	b.evaluate(`window.marker = "not reloaded"`)
	hosts[0].says(t, "203.0.113.31", "first.example.org")
	b.holds("#rows", "first.example.org")
	hosts[1].says(t, "203.0.113.31", "second.example.org")
	b.holds("#rows", "second.example.org")
	if got := b.evaluate(`window.marker`); got != "not reloaded" {
		t.Errorf("the page was reloaded: %s", got)
	}
	for _, page := range []string{"", "?host=mx1.example.net", "clients?host=mx1.example.net", "client/203.0.113.31", "days"} {
		b.open(console + page)
		b.looks("fleet-" + strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(page))
		b.script(false)
		b.open(console + page)
		b.reads(page)
		b.script(true)
	}
	b.open(console + "days")
	b.evaluate(`document.querySelector("a[href$='host=mx1.example.net']").click(), ""`)
	b.holds("h1", "Now")
	rows := b.evaluate(`document.querySelector("#rows").innerText`)
	if strings.Contains(rows, "second.example.org") || !strings.Contains(rows, "first.example.org") {
		t.Errorf("of mx1: %s", rows)
	}

	redis.Stop()
	hosts[0].says(t, "203.0.113.32", "meanwhile.example.org")
	b.comes(console, "main", "The fleet's server does not answer")
	hosts[1].says(t, "203.0.113.33", "alone.example.org")
	b.open(console)
	b.holds("#rows", "alone.example.org")
	redis.Start()
	b.holds("#rows", "meanwhile.example.org")
	b.quiet(hosts[1].http)
}

// comes opens a page again and again until an element has a text.
func (b *browser) comes(url, selector, text string) {
	b.Helper()
	rig.Eventually(b, func() error {
		b.open(url)
		if got := b.evaluate(fmt.Sprintf(`document.querySelector(%q).textContent`, selector)); !strings.Contains(got, text) {
			return fmt.Errorf("%s has %.500q, want %q", selector, got, text)
		}
		return nil
	})
}
