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
	menu        string        // the path of the page of the menu that it is below, or its own
	every       time.Duration // how often a live one looks whether it has changed; 0: it is none
	view        func(c *Console, r *http.Request) (view, error)
}

// pages are what a browser can ask for by GET, beside exports and streams.
var pages = []page{
	{"", "Now", "", 0, (*Console).now}, // its rows come from events
	{"clients", "Clients", "clients", 0, (*Console).clients},
	{"rules", "Rules", "rules", liveTime, (*Console).rules},
	{"days", "Days", "days", liveTime, (*Console).days},
	{"dns", "DNS", "dns", liveTime, (*Console).dns},
	{"whatif", "What if", "whatif", 0, (*Console).whatif},
	{"decision/{id}", "Decision", "none", 0, (*Console).decision},
	{"client/{address}", "Client", "clients", 0, (*Console).client},
	{"rules/{name}", "Rule", "rules", liveTime, (*Console).rule},
	{"whatif/{id}", "What if", "whatif", rowsTime, (*Console).tried},
}

// view is what a template shows: plain data, with the name of the template and the status of the answer.
type view interface {
	template() string
	status() int
}

// fine is the status of most views.
type fine struct{}

func (fine) status() int { return http.StatusOK }

// wrong is an error of whoever has asked, with the status of the answer. It is shown in the place of the page.
type wrong struct {
	code int
	text string
}

// Error implements error.
func (w *wrong) Error() string { return w.text }

func (w *wrong) template() string { return "wrong" }
func (w *wrong) status() int      { return w.code }

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	for i := range pages {
		p := &pages[i]
		pattern := "GET /console/" + p.path
		if p.path == "" {
			pattern += "{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.page(w, r, p) })
		if p.every > 0 {
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
		none := &page{path: strings.TrimPrefix(r.URL.Path, "/console/"), title: "Not found", menu: "none"}
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
	if mistake, ok := errors.AsType[*wrong](err); ok {
		view = mistake
	} else if err != nil {
		panic(err)
	}
	if view.status() == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	var text bytes.Buffer
	if err := render(&text, "page", c.frame(r, p, view)); err != nil {
		panic(err) // a bug in a template: no data can cause it
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(view.status())
	_, _ = text.WriteTo(w)
}

// live sends the part of a page that changes.
func (c *Console) live(w http.ResponseWriter, r *http.Request, p *page) {
	c.follow(w, r, p.every, func() (text []byte, last bool) {
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
