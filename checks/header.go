package checks

import (
	"strconv"

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
	b := make([]byte, 0, 256)
	b = append(append(b, v.Want()...), "; client="...)
	b = append(append(b, client...), "; helo="...)
	b = append(append(b, helo...), "; iprev="...)
	b = append(append(b, f.Iprev()...), "; score="...)
	b = append(strconv.AppendFloat(b, v.Score, 'f', 1, 64), ";\n\trules="...)
	b = append(v.appendNames(b, Fail), "; unsure="...)
	b = append(v.appendNames(b, Unsure), "; id="...)
	return string(append(b, clean.Token(id)...))
}

// Failed returns the names of the rules that failed and are not off, separated by commas, in the order of All;
// "none" when there are none.
func (v *Verdict) Failed() string { return string(v.appendNames(nil, Fail)) }

// Unsure returns the names of the rules that are unsure, as Failed does, after "allow" if it is open whether the
// allow list exempts the client; or Internal.
func (v *Verdict) Unsure() string { return string(v.appendNames(nil, Unsure)) }

func (v *Verdict) appendNames(b []byte, result Result) []byte {
	start := len(b)
	switch {
	case result == Unsure && v.Internal:
		return append(b, Internal...)
	case result == Unsure && v.Open:
		b = append(b, AllowList...)
	}
	for i, f := range v.Findings {
		if f.Result != result || v.policy.Actions[i] == Off {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, All[i].Name...)
	}
	if len(b) == start {
		return append(b, "none"...)
	}
	return b
}
