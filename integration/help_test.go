package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"helo-milter/integration/rig"
)

// refused is a host of the sender whose mail is refused: nothing is published of it, and it says a single word.
const (
	refusedHost = "203.0.113.30"
	published   = "mail.example.org. 1 A 203.0.113.30\n30.113.0.203.in-addr.arpa. 1 PTR mail.example.org.\n"
	goodName    = "mail.example.org"
)

// receiver is a mail server whose milter refuses, and has a page for those who were refused.
type receiver struct {
	dns    *rig.Authority
	milter *rig.Milter
	page   string // its address
	mx     rig.MTA
	sink   *rig.Sink
}

func startReceiver(t *testing.T, mta, keyFile string) *receiver {
	t.Helper()
	r := &receiver{dns: rig.StartAuthority(t, ""), page: fmt.Sprintf("127.0.0.1:%d", rig.FreePort())}
	r.milter = startHelpMilter(t, r.page, keyFile, r.dns.Addr)
	r.sink = rig.StartSink(t)
	r.mx = rig.Start(t, mta, r.sink, r.milter.Socket)
	return r
}

func startHelpMilter(t *testing.T, page, keyFile, dns string) *rig.Milter {
	t.Helper()
	config := fmt.Sprintf("mode = 'enforce'\nprofile = 'strict'\ntimeout = '2s'\n[dns]\nservers = [%q]\n"+
		"[help]\nlisten = %q\nurl = 'http://%s/r/{id}'\nkey_file = %q\n", dns, page, page, keyFile)
	return rig.StartMilter(t, "unix", config)
}

// sender is a mail server that sends from refusedHost to a receiver, and gets its bounces back.
type sender struct {
	rig.MTA
	bounces *rig.Sink
}

// startPostfixSender starts a Postfix whose processes read main.cf for each delivery.
func startPostfixSender(t *testing.T, to *receiver) (s *sender, greet func(helo string)) {
	t.Helper()
	s = &sender{bounces: rig.StartSink(t)}
	mx, _ := to.mx.Addresses()
	postfix := rig.StartPostfix(t, s.bounces, fmt.Sprintf("relay_transport = smtp:[%s]:25", mx),
		"default_transport = smtp:"+s.bounces.Addr, "smtp_bind_address = "+refusedHost, "smtp_helo_name = friend", "max_use = 1",
		"myhostname = out.example.org", "inet_interfaces = loopback-only") // else it sees a loop: all addresses here are local
	s.MTA = postfix
	return s, func(helo string) {
		main, err := os.ReadFile(postfix.Conf("main.cf"))
		if err != nil {
			t.Fatal(err)
		}
		line := regexp.MustCompile(`(?m)^smtp_helo_name = .*$`)
		text := line.ReplaceAll(main, []byte("smtp_helo_name = "+helo))
		if err := os.WriteFile(postfix.Conf("main.cf"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// startSendmailSender starts a Sendmail: mail for example.net goes to the receiver, and bounces to the sink.
func startSendmailSender(t *testing.T, to *receiver) *sender {
	t.Helper()
	s := &sender{bounces: rig.StartSink(t)}
	mx, _ := to.mx.Addresses()
	s.MTA = rig.StartSendmail(t, s.bounces, "define(`confHELO_NAME', `friend')dnl",
		"define(`confDOMAIN_NAME', `out.example.org')dnl",
		"CLIENT_OPTIONS(`Family=inet, Address="+refusedHost+"')dnl", "LOCAL_RULE_0",
		"R$* < @ example.net . > $*\t$#esmtp $@ ["+mx.String()+"] $: $1 < @ example.net . > $2",
		"R$* < @ example.net > $*\t$#esmtp $@ ["+mx.String()+"] $: $1 < @ example.net > $2")
	return s
}

var linkInBounce = regexp.MustCompile(`http://127\.0\.0\.1:\d+/r/[a-z2-7]+`)

// bounced sends a message, and returns the link in the text of the bounce, which the mail server has made of the reply.
func (s *sender) bounced(t *testing.T) string {
	t.Helper()
	n := len(s.bounces.Mails())
	s.Submit(t, "alice@example.org", "bob@example.net", "Subject: Hello\n\nHello.\n")
	bounce := s.bounces.Wait(t, n+1)[n]
	human, _, _ := strings.Cut(bounce.Text, "message/delivery-status")
	link := linkInBounce.FindString(human)
	if bounce.From != "" || link == "" || !strings.Contains(human, "Rule: helo-not-fqdn") {
		t.Fatalf("from %q:\n%s", bounce.From, bounce.Text)
	}
	return link
}

// The way back, in a real browser, from the text of a bounce: it is red; the DNS is set right and tested again, and that
// half is green; the mail server gets the name, and all is green, without a reload. Then the same without script, by
// reloading, with a DNS that cannot be asked in between.
func TestHelpPage(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "help.key")
	r := startReceiver(t, "Postfix", key)
	s, greet := startPostfixSender(t, r)
	first := s.bounced(t)
	b := startBrowser(t)

	b.open(first)
	b.await(`all=red dns=grey helo=grey`)
	b.evaluate(`window.marker = "not reloaded"`)
	b.axe("red")
	r.dns.Set(t, published)
	b.click("#test")
	b.await(`all=grey dns=green helo=grey`)
	second := s.bounced(t) // it says the same still
	b.await(`all=red dns=green helo=red`)
	greet(goodName)
	s.Submit(t, "alice@example.org", "bob@example.net", "Subject: Hello\n\nHello again.\n")
	b.await(`all=green dns=green helo=green`)
	if got := b.evaluate(`window.marker`); got != "not reloaded" {
		t.Errorf("the page was reloaded: %s", got)
	}
	b.axe("green")
	if mails := r.sink.Wait(t, 1); mails[0].From != "alice@example.org" {
		t.Errorf("%+v", mails)
	}

	r.dns.Set(t, "")
	r.dns.Kill()
	b.script(false)
	b.open(second)
	b.await(`all=green dns=green helo=green`) // by its last greeting, which the DNS was asked about
	b.click("#test")
	b.await(`dns=amber`)
	r.dns.Start(t)
	b.script(true)

	for name, path := range map[string]string{"gone": "/r/gone", "rule": "/rule/helo-not-fqdn", "index": "/"} {
		b.open("http://" + r.page + path)
		b.axe(name)
	}
	b.quiet(r.page)

	// Another host of the fleet, with the same key, and one with another.
	for file, want := range map[string]int{key: http.StatusOK, filepath.Join(t.TempDir(), "other.key"): http.StatusNotFound} {
		other := fmt.Sprintf("127.0.0.1:%d", rig.FreePort())
		startHelpMilter(t, other, file, r.dns.Addr)
		if code, _ := fetch(t, strings.Replace(first, r.page, other, 1)); code != want {
			t.Errorf("another host with %s: %d, want %d", filepath.Base(file), code, want)
		}
	}
}

// Without script the page is a form, and a reload shows what is new.
func TestHelpPageWithoutScript(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, "Postfix", filepath.Join(t.TempDir(), "help.key"))
	s, greet := startPostfixSender(t, r)
	link := s.bounced(t)
	b := startBrowser(t)
	b.script(false)
	b.open(link)
	b.await(`all=red dns=grey helo=grey`)
	r.dns.Set(t, published)
	b.click("#test")
	b.await(`all=grey dns=green helo=grey`)
	greet(goodName)
	s.Submit(t, "alice@example.org", "bob@example.net", "Subject: Hello\n\nHello again.\n")
	r.sink.Wait(t, 1)
	b.reload(`all=green dns=green helo=green`)
	b.quiet(r.page)
}

// A Sendmail receives, and a Sendmail sends: both bounces have the whole link, and the id that is in the header.
func TestHelpSendmail(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, "Sendmail", filepath.Join(t.TempDir(), "help.key"))
	postfix, greet := startPostfixSender(t, r)
	for name, s := range map[string]*sender{"Postfix": postfix, "Sendmail": startSendmailSender(t, r)} {
		if code, page := fetch(t, s.bounced(t)); code != http.StatusOK || !strings.Contains(page, "friend") {
			t.Errorf("the bounce of %s leads to %d\n%s", name, code, page)
		}
	}
	r.dns.Set(t, published)
	greet(goodName)
	postfix.Submit(t, "alice@example.org", "bob@example.net", "Subject: Hello\n\nHello.\n")
	mail := r.sink.Wait(t, 1)[0]
	id := regexp.MustCompile(`; id=([a-z2-7]{26})`).FindStringSubmatch(mail.Text)
	if id == nil {
		t.Fatalf("%s", mail.Text)
	}
	if code, page := fetch(t, "http://"+r.page+"/r/"+id[1]); code != http.StatusOK || !strings.Contains(page, goodName) {
		t.Errorf("the id in the header leads to %d\n%s", code, page)
	}
}

// fetch gets a page without a browser.
func fetch(t *testing.T, url string) (code int, page string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// browser is a tab of chromium.
type browser struct {
	*testing.T
	tab  context.Context
	seen *browserLog
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	limit, cancel := context.WithTimeout(t.Context(), 3*rig.WaitTimeout)
	t.Cleanup(cancel)
	allocator, stop := chromedp.NewExecAllocator(limit, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.WSURLReadTimeout(rig.WaitTimeout))...)
	t.Cleanup(stop)
	tab, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	b := &browser{t, tab, &browserLog{}}
	if err := chromedp.Listen(tab, b.seen.listen); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab, chromedp.EmulateViewport(1200, 900)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) open(url string) {
	b.Helper()
	if err := chromedp.Do(b.tab, chromedp.Navigate(url)); err != nil {
		b.Fatal(err)
	}
}

func (b *browser) click(selector string) {
	b.Helper()
	if err := chromedp.Do(b.tab, chromedp.Click(selector)); err != nil {
		b.Fatal(err)
	}
}

// script switches the scripts of pages on or off. What the test evaluates runs in any case.
func (b *browser) script(on bool) {
	b.Helper()
	params := emulation.SetScriptExecutionDisabledParams{Value: !on}
	if _, err := chromedp.Call(b.tab, emulation.SetScriptExecutionDisabled, params); err != nil {
		b.Fatal(err)
	}
}

func (b *browser) evaluate(script string) string {
	b.Helper()
	got, err := chromedp.Run(b.tab, chromedp.Evaluate[string](script))
	if err != nil {
		b.Fatal(err)
	}
	return got
}

// states are the colours that the page shows: of all, of the DNS, and of the greeting.
const states = `["all", "dns", "helo"].map(id => id + "=" + document.getElementById(id)?.dataset.state).join(" ")`

// await waits until the page shows these states.
func (b *browser) await(want string) {
	b.Helper()
	rig.Eventually(b, func() error {
		got, err := chromedp.Run(b.tab, chromedp.Evaluate[string](states))
		if err == nil && !strings.Contains(got, want) {
			err = fmt.Errorf("the page shows %s, want %s", got, want)
		}
		return err
	})
}

// reload reloads the page until it shows these states.
func (b *browser) reload(want string) {
	b.Helper()
	rig.Eventually(b, func() error {
		if err := chromedp.Do(b.tab, chromedp.Reload()); err != nil {
			return err
		}
		got, err := chromedp.Run(b.tab, chromedp.Evaluate[string](states))
		if err == nil && !strings.Contains(got, want) {
			err = fmt.Errorf("the page shows %s, want %s", got, want)
		}
		return err
	})
}

func (b *browser) loadAxe() {
	b.Helper()
	axe, err := os.ReadFile("/var/cache/helo-milter-rig/axe/axe.min.js")
	if err != nil {
		b.Fatalf("%v: run integration/run", err)
	}
	b.evaluate(string(axe) + `; axe.version`)
}

// axe looks for what a reader has trouble with, on a phone in the dark and on a desktop in the light. If SCREENSHOTS names
// a directory, it writes pictures there.
func (b *browser) axe(name string) {
	b.Helper()
	b.loadAxe()
	for width, colours := range map[int64]string{360: "dark", 1200: "light"} {
		b.wear(width, colours)
		found, err := chromedp.Run(b.tab, chromedp.Evaluate[string](`axe.run().then(r =>
			r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).join(" ")).join("\n") +
			(document.documentElement.scrollWidth > innerWidth ? "too wide" : ""))`, chromedp.EvalAwaitPromise))
		if err != nil || found != "" {
			b.Errorf("%s, %d, %s: %s, %v", name, width, colours, found, err)
		}
		b.picture(fmt.Sprintf("help-%s-%d-%s.png", name, width, colours))
	}
}

// quiet reports requests to others than the page, and what the browser complained about.
func (b *browser) quiet(page string) {
	b.Helper()
	requests, messages := b.seen.all()
	for _, url := range requests {
		if !strings.HasPrefix(url, "http://"+page+"/") {
			b.Errorf("a request to %s", url)
		}
	}
	for _, text := range messages {
		if !strings.Contains(text, "404") { // of the page that says so
			b.Errorf("the browser says %s", text)
		}
	}
}
