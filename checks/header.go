package checks

import (
	"cmp"
	"fmt"
	"strings"

	"helo-milter/checks/clean"
)

// Header returns the value of the header field, folded with LF and a tab (RFC 5322 §2.2.3): what the
// policy wants, the facts in short, and the findings that are not off. id is the session's.
func (v *Verdict) Header(id string, f *Facts) string {
	helo, client := "none", "none"
	if h := f.LastHelo(); h.Form&(FormMissing|FormUnheard) == 0 {
		helo = clean.Token(h.Raw)
	}
	if f.Client.IsValid() {
		client = clean.Token(f.Client.String())
	}
	return fmt.Sprintf("%s; client=%s; helo=%s; iprev=%s; score=%.1f;\n\trules=%s; unsure=%s; id=%s",
		v.Want(), client, helo, f.Iprev(), v.Score, v.Failed(), v.Unsure(), clean.Token(id))
}

// Failed returns the names of the rules that failed and are not off, separated by commas, in the order of All;
// "none" when there are none.
func (v *Verdict) Failed() string { return v.names(Fail) }

// Unsure returns the names of the rules that are unsure, as Failed does, after "allow" if it is open whether the
// allow list exempts the client; or Internal.
func (v *Verdict) Unsure() string {
	switch names := v.names(Unsure); {
	case v.Internal:
		return Internal
	case v.Open && names == "none":
		return AllowList
	case v.Open:
		return AllowList + "," + names
	default:
		return names
	}
}

func (v *Verdict) names(result Result) string {
	var names []string
	for i, f := range v.Findings {
		if f.Result == result && f.Action != Off {
			names = append(names, All[i].Name)
		}
	}
	return cmp.Or(strings.Join(names, ","), "none")
}
