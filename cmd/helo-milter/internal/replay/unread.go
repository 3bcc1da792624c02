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
}

// form is a reason and the form of its text, which may be "".
type form struct{ reason, text string }

// maxForms bounds the memory for forms to about 0.3 MB: whoever writes the mail can make up forms.
const maxForms = 1000

// shownForms is how many forms a list has at most.
const shownForms = 10

func (u *Unread) add(err error) {
	u.Items++
	broken := new(past.Broken)
	if !errors.As(err, &broken) { // about a whole file
		return
	}
	f := form{broken.Reason, broken.Form()}
	if _, ok := u.forms[f]; !ok && len(u.forms) == maxForms {
		u.others++
		return
	}
	if u.forms == nil {
		u.forms = map[form]int{}
	}
	u.forms[f]++
}

// Print writes the most frequent forms, a line each. No line has an address or a name.
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
}
