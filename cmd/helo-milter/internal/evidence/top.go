package evidence

import (
	"cmp"
	"slices"
	"time"

	"helo-milter/checks"
)

// maxTop is how many of the clients that would be refused are shown.
const maxTop = 20

// ranking has the clients with the most refused transactions, at most maxTop.
type ranking []TopClient

// add updates a client's place. A client can rise only by a record of its own, so the texts of others need not
// be kept.
func (list *ranking) add(r *checks.Record, who *client) {
	top := *list
	if len(top) == maxTop && int(who.refused) < top[maxTop-1].Refused {
		return
	}
	t := TopClient{Example: example(r), Refused: int(who.refused), Last: time.Unix(who.last, 0).UTC()}
	if i := checks.Index(r.Verdict.Rule); i >= 0 {
		t.Rule = checks.All[i].Name
	}
	same := func(old TopClient) bool { return old.Client == t.Client }
	if i := slices.IndexFunc(top, same); i >= 0 {
		if r.Time.Unix() < who.last { // logs can come in any order
			t.Example, t.Rule = top[i].Example, top[i].Rule
		}
		top = slices.Delete(top, i, i+1)
	}
	top = append(top, t)
	slices.SortFunc(top, byRefused)
	*list = top[:min(len(top), maxTop)]
}

func byRefused(a, b TopClient) int {
	return cmp.Or(b.Refused-a.Refused, b.Last.Compare(a.Last), a.Client.Compare(b.Client))
}

// ranked returns these clients, with their looks now that all records are known.
func (c *counts) ranked() []TopClient {
	list := append([]TopClient{}, c.top...)
	for i := range list {
		if rule := checks.Index(list[i].Rule); rule >= 0 {
			list[i].Good = c.looks(list[i].Client)&against(rule) != 0
		}
	}
	return list
}
