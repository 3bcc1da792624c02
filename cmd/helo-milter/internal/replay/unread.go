package replay

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"helo-milter/cmd/helo-milter/internal/past"
)

// Unread counts by its form what could not be read, see past.Broken.Form. It holds the first maxForms forms.
type Unread struct {
	Items  int
	forms  map[form]int
	others int // of further forms

	trust map[string]int // by what to give with --trusted; the first maxForms
}

// form is a reason and the form of its text, which may be "".
type form struct{ reason, text string }

// maxForms bounds the memory for forms to about 0.3 MB: whoever writes the mail can make up forms.
const maxForms = 1000

// shownForms is how many forms a list has at most.
const shownForms = 10

// shownHosts is how many hosts to trust a list has at most.
const shownHosts = 3

func (u *Unread) add(err error) {
	u.Items++
	broken := new(past.Broken)
	if !errors.As(err, &broken) { // about a whole file
		return
	}
	if u.forms == nil {
		u.forms, u.trust = map[form]int{}, map[string]int{}
	}
	if !increment(u.forms, form{broken.Reason, broken.Form()}) {
		u.others++
	}
	if broken.Trust != "" {
		increment(u.trust, broken.Trust)
	}
}

// increment adds one to a key of a map of at most maxForms keys, and reports whether it did.
func increment[K comparable](m map[K]int, key K) bool {
	if _, ok := m[key]; !ok && len(m) == maxForms {
		return false
	}
	m[key]++
	return true
}

// Print writes the most frequent forms, a line each, in which there is no address or name, and then the hosts
// to name with --trusted.
func (u *Unread) Print(out io.Writer) {
	list := slices.SortedFunc(maps.Keys(u.forms), func(a, b form) int {
		return cmp.Or(
			cmp.Compare(u.forms[b], u.forms[a]), cmp.Compare(a.reason, b.reason), cmp.Compare(a.text, b.text),
		)
	})
	rest := u.others
	for i, f := range list {
		switch {
		case i >= shownForms:
			rest += u.forms[f]
		case f.text == "":
			fmt.Fprintf(out, "  %5d  %s\n", u.forms[f], f.reason)
		default:
			fmt.Fprintf(out, "  %5d  %s: %s\n", u.forms[f], f.reason, f.text)
		}
	}
	if rest > 0 {
		fmt.Fprintf(out, "  %5d  of other forms\n", rest)
	}
	hosts := slices.SortedFunc(maps.Keys(u.trust), func(a, b string) int {
		return cmp.Or(cmp.Compare(u.trust[b], u.trust[a]), cmp.Compare(a, b))
	})
	for _, host := range hosts[:min(len(hosts), shownHosts)] {
		fmt.Fprintf(out, "To read %d of them, give --trusted %s, if that is yours.\n", u.trust[host], host)
	}
}
