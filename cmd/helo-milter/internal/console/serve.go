package console

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// page is one that shows the evidence as it is.
type page struct {
	path, title string
	menu, live  bool // it is in the menu; it changes by itself
	view        func(c *Console, r *http.Request) (view, error)
}

// pages are what a browser can ask for by GET, beside decisions, exports and trials.
var pages = []page{
	{"", "Now", true, false, (*Console).now}, // its rows come from events
	{"clients", "Clients", true, false, (*Console).clients},
	{"rules", "Rules", true, true, (*Console).rules},
	{"days", "Days", true, true, (*Console).days},
	{"dns", "DNS", true, true, (*Console).dns},
	{"whatif", "What if", true, false, (*Console).whatif},
	{"decision/{id}", "Decision", false, false, (*Console).decision},
	{"client/{address}", "Client", false, false, (*Console).client},
	{"rules/{name}", "Rule", false, true, (*Console).rule},
	{"whatif/{id}", "What if", false, true, (*Console).tried},
}

// view is what a template shows: plain data, with the name of the template. The error wrong is one, too.
type view interface{ template() string }

// wrong is an error of whoever has asked, with the status of the answer.
type wrong struct {
	status int
	text   string
}

// Error implements error. It is shown in the place of the page.
func (w *wrong) Error() string { return w.text }

func (w *wrong) template() string { return "wrong" }

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	for i := range pages {
		p := &pages[i]
		pattern := "GET /console/" + p.path
		if p.path == "" {
			pattern += "{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.page(w, r, p) })
		if p.live {
			mux.HandleFunc("GET /console/live/"+p.path, func(w http.ResponseWriter, r *http.Request) { c.live(w, r, p) })
		}
	}
	mux.HandleFunc("GET /console/events", c.decisions)
	mux.HandleFunc("GET /console/export", c.export)
	mux.HandleFunc("POST /console/whatif", c.begin)
	mux.HandleFunc("POST /console/whatif/{id}/cancel", c.cancel)
	mux.HandleFunc("GET /console/style.css", asset("text/css; charset=utf-8", stylesheet))
	mux.HandleFunc("GET /console/script.js", asset("text/javascript; charset=utf-8", script))
	mux.HandleFunc("/console/", func(w http.ResponseWriter, r *http.Request) {
		none := &page{path: strings.TrimPrefix(r.URL.Path, "/console/"), title: "Not found"}
		c.write(w, r, none, nil, &wrong{http.StatusNotFound, "There is no page of this address."})
	})
	return mux
}

func asset(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = io.WriteString(w, text)
	}
}

// page answers with a page, or with one of its tables.
func (c *Console) page(w http.ResponseWriter, r *http.Request, p *page) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(queryWait + queryTime + writeTime))
	view, err := p.view(c, r)
	if format := r.URL.Query().Get("format"); format != "" && err == nil {
		if t := tableOf(view, r.URL.Query().Get("table")); t != nil && formats[format].kind != "" {
			t.export(w, format)
			return
		}
		err = &wrong{http.StatusNotFound, "There is no such table, or no such format: csv and jsonl are."}
	}
	c.write(w, r, p, view, err)
}

// write writes a page whole, or what is wrong.
func (c *Console) write(w http.ResponseWriter, r *http.Request, p *page, view view, err error) {
	status := http.StatusOK
	if mistake, ok := errors.AsType[*wrong](err); ok {
		status, view = mistake.status, mistake
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
	} else if err != nil {
		panic(err)
	} else if form, ok := view.(*whatifView); ok && form.Wrong != "" {
		status = http.StatusUnprocessableEntity
	}
	var text bytes.Buffer
	if err := render(&text, "page", c.frame(r, p, view)); err != nil {
		panic(err) // a bug in a template: no data can cause it
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = text.WriteTo(w)
}

// live sends the part of a page that changes.
func (c *Console) live(w http.ResponseWriter, r *http.Request, p *page) {
	every := liveTime
	if p.path == "whatif/{id}" {
		every = rowsTime
	}
	c.follow(w, r, every, func() (text []byte, last bool) {
		view, err := p.view(c, r)
		if err != nil {
			return nil, true
		}
		var b bytes.Buffer
		if err := render(&b, "main", c.frame(r, p, view)); err != nil {
			panic(err) // see write
		}
		t, isTrial := view.(*trialView)
		return b.Bytes(), isTrial && !t.Running()
	})
}

// base leads from the page to the first one. Links are relative, since a proxy may have put us below a path.
func (p *page) base() string {
	return strings.Repeat("../", strings.Count(p.path, "/"))
}

// addressIn reads the address of a request.
func addressIn(r *http.Request, name string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(r.PathValue(name))
	if err != nil {
		return addr, &wrong{http.StatusNotFound, "This is no address."}
	}
	return addr.Unmap().WithZone(""), nil
}
