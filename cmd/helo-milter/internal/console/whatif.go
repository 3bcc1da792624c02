package console

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/config"
)

// whatifView is the form of a trial, and the last trials.
type whatifView struct {
	Config  *config.Config
	Wrong   string // with what was asked for
	TOML    string
	Days    int
	Changed map[string]string // values of the form
	Trials  []*trialView
}

func (v *whatifView) template() string { return "whatif" }

func (v *whatifView) status() int {
	if v.Wrong != "" {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

func (c *Console) whatif(*http.Request) (view, error) { return c.form(), nil }

func (c *Console) form() *whatifView {
	v := &whatifView{Config: c.settings.Load().Config, Days: int(keptTime / (24 * time.Hour)), Changed: map[string]string{}}
	for _, t := range c.trials.all() {
		one, _ := standingOf(t)
		v.Trials = append(v.Trials, one)
	}
	return v
}

// choice is a rule in the form.
type choice struct {
	Name, Doc, Now, Asked string
	Set                   bool // in the configuration
}

// Rules are the choices of the form.
func (v *whatifView) Rules() (list []choice) {
	for i := range checks.All {
		rule := &checks.All[i]
		list = append(list, choice{
			rule.Name, rule.Doc, v.Config.Judge.Policy.Actions[i].String(), v.Changed["rules."+rule.Name],
			v.Config.Actions[i] != nil,
		})
	}
	return list
}

// Actions are what a rule can be set to.
func (*whatifView) Actions() []string { return []string{"off", "mark", "tempfail", "reject"} }

// Profiles are those of the policy.
func (*whatifView) Profiles() []string { return []string{"careful", "standard", "strict"} }

// Flipped reports whether a rule was asked for: then they are shown.
func (v *whatifView) Flipped() bool {
	for name := range v.Changed {
		if strings.HasPrefix(name, "rules.") {
			return true
		}
	}
	return false
}

// begin begins the trial of a form.
func (c *Console) begin(w http.ResponseWriter, r *http.Request) {
	v := c.form()
	t, cfg, err := v.asked(r)
	if err == nil {
		err = c.try(t, cfg)
	}
	if err != nil {
		v.Wrong = err.Error()
		c.write(w, r, pageOf("whatif"), v, nil)
		return
	}
	w.Header().Set("Location", "whatif/"+t.ID)
	w.WriteHeader(http.StatusSeeOther)
}

// asked reads a form.
func (v *whatifView) asked(r *http.Request) (*trial, *config.Config, error) {
	err := r.ParseForm() // whose error ParseMultipartForm forgets
	if err == nil {
		err = r.ParseMultipartForm(maxBody)
	}
	if err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, nil, fmt.Errorf("the form cannot be read: %w (at most 1 MiB)", err)
	}
	if days, err := strconv.Atoi(r.PostForm.Get("days")); err == nil && days > 0 {
		v.Days = min(days, v.Days)
	}
	text, err := uploaded(r.MultipartForm)
	if v.TOML = text; err == nil && text == "" {
		v.TOML = r.PostForm.Get("toml")
	}
	if err != nil {
		return nil, nil, err
	}
	t := &trial{Days: v.Days}
	if strings.TrimSpace(v.TOML) != "" {
		t.Changes, t.Whole = v.TOML, true
		cfg, err := config.Parse("whatif.toml", []byte(v.TOML))
		return t, cfg, err
	}
	t.Changes = v.changes(r)
	cfg, err := v.Config.With("whatif.toml", []byte(t.Changes))
	return t, cfg, err
}

// uploaded is the text of the file in a form.
func uploaded(form *multipart.Form) (string, error) {
	if form == nil || len(form.File["file"]) == 0 {
		return "", nil
	}
	file, err := form.File["file"][0].Open()
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	return string(text), err
}

// changes are what a form asks for, in TOML. What cannot be is left to the configuration to say.
func (v *whatifView) changes(r *http.Request) string {
	tables := map[string]*strings.Builder{"": {}, "rules": {}, "scores": {}}
	set := func(table, key, value string, isText bool) {
		value = strings.TrimSpace(value)
		if value == "" {
			return
		}
		v.Changed[strings.TrimPrefix(table+"."+key, ".")] = value
		if number, err := strconv.ParseFloat(value, 64); err == nil && !isText {
			fmt.Fprintf(tables[table], "%s = %s\n", key, toml(number))
			return
		}
		fmt.Fprintf(tables[table], "%s = %q\n", key, value)
	}
	set("", "profile", r.PostForm.Get("profile"), true)
	set("", "on_dns_error", r.PostForm.Get("on_dns_error"), true)
	for i := range checks.All {
		name := checks.All[i].Name
		set("rules", name, r.PostForm.Get("rules."+name), true)
	}
	set("scores", "tempfail_at", r.PostForm.Get("tempfail_at"), false)
	set("scores", "reject_at", r.PostForm.Get("reject_at"), false)
	text := tables[""].String()
	for _, name := range []string{"rules", "scores"} {
		if lines := tables[name].String(); lines != "" {
			text += "[" + name + "]\n" + lines
		}
	}
	return text
}

// toml is a number that TOML does not take for an integer.
func toml(x float64) string {
	text := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// cancel ends a trial.
func (c *Console) cancel(w http.ResponseWriter, r *http.Request) {
	t := c.trials.get(r.PathValue("id"))
	if t == nil {
		c.write(w, r, pageOf("whatif/{id}"), nil, errNoTrial)
		return
	}
	t.cancel()
	select {
	case <-t.ended:
	case <-time.After(closing):
	}
	w.Header().Set("Location", "../"+t.ID)
	w.WriteHeader(http.StatusSeeOther)
}

var errNoTrial = &wrong{http.StatusNotFound, "This trial is not kept any more. Only the last ones are."}

func pageOf(path string) *page {
	return &pages[slices.IndexFunc(pages, func(p page) bool { return p.path == path })]
}
