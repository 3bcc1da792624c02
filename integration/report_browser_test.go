package integration

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"helo-milter/integration/rig"
)

// The HTML reports in a real browser, on a narrow and on a wide screen: nothing overflows, each chart has a
// title and a description, and the browser requests nothing but the file itself.
func TestReportInBrowser(t *testing.T) {
	limit, cancel := context.WithTimeout(t.Context(), rig.WaitTimeout)
	defer cancel()
	browser, stop := chromedp.NewExecAllocator(limit, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.WSURLReadTimeout(rig.WaitTimeout))...)
	defer stop()
	tab, closeTab := chromedp.NewContext(browser)
	defer closeTab()
	seen := &browserLog{}
	if err := chromedp.Listen(tab, seen.listen); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../cmd/helo-milter/testdata/report/*.html")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d reports (%v)", len(files), err)
	}
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		page := (&url.URL{Scheme: "file", Path: path}).String()
		for _, width := range []int64{400, 1400} {
			for _, colours := range []string{"light", "dark"} {
				name := fmt.Sprintf("%s-%d-%s", strings.TrimSuffix(filepath.Base(file), ".html"), width, colours)
				t.Run(name, func(t *testing.T) { checkPage(tab, t, page, width, colours, seen) })
			}
		}
	}
}

// pageState is what the browser made of a page.
type pageState struct {
	Overflow, Charts int
	Unlabelled       []string // charts without a title and a description
}

const pageStateScript = `({
	overflow: document.documentElement.scrollWidth - innerWidth,
	charts: document.querySelectorAll("svg").length,
	unlabelled: [...document.querySelectorAll("svg")].filter(svg => svg.getAttribute("role") != "img" ||
		!["title", "desc"].every((part, i) => {
			const words = svg.querySelector(":scope > " + part);
			const id = svg.getAttribute("aria-labelledby").split(" ")[i];
			return words?.textContent && words.id == id && document.querySelectorAll("#" + id).length == 1;
		})).map(svg => svg.outerHTML),
})`

// checkPage opens a page. If SCREENSHOTS names a directory, it writes a screenshot there.
func checkPage(
	tab context.Context, t *testing.T, page string, width int64, colours string, seen *browserLog,
) {
	seen.forget()
	scheme := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}}
	media := emulation.SetEmulatedMediaParams{Features: scheme}
	if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab, chromedp.EmulateViewport(width, 900), chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	got, err := chromedp.Run(tab, chromedp.Evaluate[pageState](pageStateScript))
	if err != nil {
		t.Fatal(err)
	}
	if got.Overflow > 0 || got.Charts < 5 || len(got.Unlabelled) > 0 {
		t.Errorf("%d pixels too wide, %d charts, unlabelled: %q", got.Overflow, got.Charts, got.Unlabelled)
	}
	picture, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	requests, messages := seen.all()
	if len(requests) != 1 || requests[0] != page || len(messages) > 0 {
		t.Errorf("requests %q, messages %q", requests, messages)
	}
	if *update && strings.HasSuffix(t.Name(), "/healthy-1400-light") {
		keepPicture(tab, t)
	}
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(t.Name())+".png"), picture, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// keepPicture writes the picture of the report that the top README has.
func keepPicture(tab context.Context, t *testing.T) {
	if err := chromedp.Do(tab, chromedp.EmulateViewport(1200, 900)); err != nil {
		t.Fatal(err)
	}
	picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile("../examples/report.png", picture, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// browserLog collects a browser's requests and error messages.
type browserLog struct {
	mu                 sync.Mutex
	requests, messages []string
}

func (l *browserLog) listen(event any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		l.requests = append(l.requests, e.Request.URL)
	case *runtime.EventConsoleAPICalled:
		l.messages = append(l.messages, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		l.messages = append(l.messages, e.ExceptionDetails.Text)
	case *cdplog.EventEntryAdded:
		l.messages = append(l.messages, e.Entry.Text)
	}
}

func (l *browserLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests, l.messages = nil, nil
}

func (l *browserLog) all() (requests, messages []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests, l.messages
}
