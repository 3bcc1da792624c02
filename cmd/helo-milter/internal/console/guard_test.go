package console

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const password = "0123456789abcdef-%:"

// Whoever may not ask gets nothing, and is told what to do.
func TestMayAsk(t *testing.T) {
	for _, tt := range []struct {
		host, authorization string // "basic" and "bearer" have what is behind as the password
		token               string
		status              int
	}{
		{"localhost", "", "", 200},
		{"localhost:9100", "", "", 200},
		{"127.0.0.1:9100", "", "", 200},
		{"192.0.2.1", "", "", 200},
		{"[::1]:9100", "", "", 200},
		{"[2001:db8::1]", "", "", 200},
		{"", "", "", 200},
		{"evil.example", "", "", 403},
		{"evil.example:9100", "", "", 403},
		{"localhost.evil.example", "", "", 403},
		{"127.0.0.1.evil.example", "", "", 403},
		{"localhost:9100", "bearer " + password, "", 200}, // it is not asked for
		{"evil.example", "basic " + password, "", 403},
		{"console.example.net", "", password, 401},
		{"localhost", "", password, 401},
		{"console.example.net", "basic " + password, password, 200},
		{"console.example.net", "bearer " + password, password, 200},
		{"console.example.net", "basic " + password + "x", password, 401},
		{"console.example.net", "bearer " + password[1:], password, 401},
		{"console.example.net", "basic ", password, 401},
		{"console.example.net", "bearer ", password, 401},
		{"console.example.net", "Digest " + password, password, 401},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "")
			w.use(w.cfg, tt.token)
			r := request("GET", "", nil)
			r.Host = tt.host
			switch kind, said, _ := strings.Cut(tt.authorization, " "); kind {
			case "basic":
				r.SetBasicAuth("anybody", said)
			case "bearer":
				r.Header.Set("Authorization", "Bearer "+said)
			default:
				r.Header.Set("Authorization", tt.authorization)
			}
			began := time.Now()
			answer := w.ask(r)
			if answer.Code != tt.status {
				t.Errorf("%+v: %d", tt, answer.Code)
			}
			body := answer.Body.String()
			if strings.Contains(body, password) || tt.status != 200 && strings.Contains(body, "<") {
				t.Errorf("%+v: %s", tt, body)
			}
			if asks := answer.Header().Get("WWW-Authenticate") != ""; asks != (tt.status == 401) {
				t.Errorf("%+v: asks for a password: %t", tt, asks)
			}
			wrong := tt.status == 401 && strings.HasPrefix(tt.authorization, "b")
			if took := time.Since(began); wrong != (took >= wrongTime) {
				t.Errorf("%+v: took %v", tt, took)
			}
		})
	}
}

// A page of another site can begin nothing, and each answer says what it may load.
func TestCrossOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		synctest.Wait()
		for _, tt := range []struct {
			key, value, method, path string
			status                   int
		}{
			{"Sec-Fetch-Site", "cross-site", "POST", "whatif", 403},
			{"Sec-Fetch-Site", "same-site", "POST", "whatif", 403},
			{"Origin", "https://evil.example", "POST", "whatif", 403},
			{"Origin", "null", "POST", "whatif/x/cancel", 403},
			{"Sec-Fetch-Site", "same-origin", "POST", "whatif", 303},
			{"Origin", "http://localhost:9100", "POST", "whatif/x/cancel", 404},
			{"Sec-Fetch-Site", "cross-site", "GET", "", 200}, // a link
			{"", "", "GET", "style.css", 200},
			{"", "", "GET", "script.js", 200},
			{"", "", "GET", "gone", 404},
			{"", "", "DELETE", "whatif", 404},
			{"", "", "POST", "", 404},
			{"", "", "GET", "export", 404},
			{"", "", "GET", "export?format=csv", 200},
			{"", "", "GET", "events?want=x", 400},
			{"", "", "GET", "decision/x", 404},
			{"", "", "GET", "client/x", 404},
			{"", "", "GET", "rules?format=csv&table=x", 404},
		} {
			r := request(tt.method, tt.path, nil)
			if tt.key != "" {
				r.Header.Set(tt.key, tt.value)
			}
			answer := w.ask(r)
			synctest.Wait()
			if answer.Code != tt.status {
				t.Errorf("%+v: %d", tt, answer.Code)
			}
			for key, value := range map[string]string{
				"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := answer.Result().Header.Get(key); got != value {
					t.Errorf("%+v: %s: %q", tt, key, got)
				}
			}
			want := "no-store"
			if tt.path == "style.css" || tt.path == "script.js" {
				want = "max-age=300"
			}
			if got := answer.Result().Header.Get("Cache-Control"); got != want {
				t.Errorf("%+v: may be stored: %s", tt, got)
			}
		}
	})
}

// A hundred open pages and slow queries take no more than their places.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		synctest.Wait()
		var open []*listener
		for i := range maxStreams {
			open = append(open, w.listen([]string{"events", "live/dns"}[i%2], ""))
		}
		synctest.Wait()
		for _, path := range []string{"events", "live/rules"} {
			full := w.get(path)
			if full.Code != 503 || full.Header().Get("Retry-After") == "" {
				t.Errorf("%s: the %dth page: %d", path, maxStreams+1, full.Code)
			}
		}
		if page := w.get(""); page.Code != 200 {
			t.Errorf("a page that is no stream: %d", page.Code)
		}
		open[0].close()
		one := w.listen("events", "")
		synctest.Wait()
		if one.status != 200 || one.close() == "" {
			t.Errorf("a page after another was closed: %d", one.status)
		}
		for _, l := range open[1:] {
			l.close()
		}

		for range maxQueries {
			_, leave, err := w.query(httptest.NewRequest("GET", "/", nil), queryTime)
			if err != nil {
				t.Fatal(err)
			}
			defer leave()
		}
		for _, path := range []string{"clients?helo=x", "client/192.0.2.1", "decision/x", "export?format=csv"} {
			began := time.Now()
			full := w.get(path)
			if full.Code != 503 || full.Header().Get("Retry-After") == "" || time.Since(began) != queryWait {
				t.Errorf("%s: %d after %v", path, full.Code, time.Since(began))
			}
		}
	})
}

// A form has at most 1 MiB, in either form: it is not cut.
func TestLargeForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		synctest.Wait()
		large := "# " + strings.Repeat("x", maxBody)
		answer := w.post("whatif", url.Values{"toml": {large}})
		if answer.Code != 422 || !strings.Contains(answer.Body.String(), "at most 1 MiB") {
			t.Errorf("%d, and %d trials", answer.Code, len(w.trials.all()))
		}
		for _, tt := range []struct {
			text   string
			status int
		}{{large, 422}, {"profile = \"strict\"\n# " + strings.Repeat("x", maxBody/2), 303}} {
			var body bytes.Buffer
			form := multipart.NewWriter(&body)
			file, _ := form.CreateFormFile("file", "x.toml")
			fmt.Fprint(file, tt.text)
			form.Close()
			r := request("POST", "whatif", &body)
			r.Header.Set("Content-Type", form.FormDataContentType())
			if answer := w.ask(r); answer.Code != tt.status {
				t.Errorf("a file of %d bytes: %d", len(tt.text), answer.Code)
			}
			synctest.Wait()
		}
		if list := w.trials.all(); len(list) != 1 || !list[0].Whole {
			t.Errorf("%d trials", len(list))
		}
	})
}

// A panic in a page is survived, and told to nobody but the log.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "").open()
		synctest.Wait()
		settings := *w.settings.Load()
		settings.Servers = func() []string { panic("secret") }
		w.Use(&settings)
		w.panics = 1
		answer := w.get("dns")
		if text := answer.Body.String(); answer.Code != http.StatusInternalServerError || strings.Contains(text, "secret") {
			t.Errorf("%d %s", answer.Code, text)
		}
		if w.panics != 0 {
			t.Error("the panic was not told")
		}
		w.panics = 1
		if _, err := w.Write([]byte("no record\n")); err != nil || w.panics != 0 {
			t.Errorf("a line that is none: %v", err)
		}
	})
}

func TestReadToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if _, err := ReadToken(file); err == nil || !strings.Contains(err.Error(), "make one") {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"0123456789abcdef\n":                 "0123456789abcdef",
		"0123456789abcdef":                   "0123456789abcdef",
		"0123456789abcdef\r\nsecond line":    "0123456789abcdef",
		"0123456789abcde\n":                  "shorter than 16",
		"":                                   "shorter than 16",
		"\n0123456789abcdef\n":               "shorter than 16",
		"0123456789 abcdef\n":                "printable ASCII",
		"0123456789abcdéf\n":                 "printable ASCII",
		"0123456789abcdef\x00":               "printable ASCII",
		strings.Repeat("~!", 100) + "\nmore": strings.Repeat("~!", 100),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadToken(file)
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want) || strings.Contains(got, "0123")) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
