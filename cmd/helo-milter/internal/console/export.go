package console

import (
	"bufio"
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"helo-milter/checks"
	"helo-milter/cmd/helo-milter/internal/past"
)

// exportTime is how long an export of decisions may take.
const exportTime = 10 * time.Minute

// export writes the decisions of a filter that are kept, in the order of the log.
func (c *Console) export(w http.ResponseWriter, r *http.Request) {
	wanted, err := filterOf(r.URL.Query())
	format := r.URL.Query().Get("format")
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case formats[format].kind == "":
		http.Error(w, "There is no such format: csv and jsonl are.", http.StatusNotFound)
		return
	}
	ctx, leave, err := c.query(r, exportTime)
	if err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer leave()
	attach(w, "decisions", format)
	out := bufio.NewWriterSize(w, 64<<10)
	defer out.Flush()
	write := func(r *checks.Record) { _, _ = out.Write(append(r.AppendJSON(nil), '\n')) }
	if format == "csv" {
		rows := csv.NewWriter(out)
		defer rows.Flush()
		_ = rows.Write(decisionColumns)
		write = func(r *checks.Record) { _ = rows.Write(decisionRow(r)) }
	}
	deadline, seen, failed := time.Time{}, past.NewSeen(), false
	kept := c.kept()
	for host, record := range kept.records(ctx, reading{
		from: time.Now().Add(-keptTime), wants: wanted.ofLine(), host: wanted.Host, share: queryShare, broken: note(&failed),
	}) {
		if now := time.Now(); now.After(deadline) { // of a browser that does not read
			deadline = now.Add(time.Second)
			_ = http.NewResponseController(w).SetWriteDeadline(now.Add(writeTime))
		}
		if wanted.match(host, record) && !seen.Again(record) {
			write(record)
		}
	}
	if failed && kept.fleet != nil {
		panic(http.ErrAbortHandler) // a part must not look like the whole: the server will be back
	}
}

var decisionColumns = []string{
	"time", "id", "queue_id", "mta", "client", "iprev", "ptr", "helo", "mail_from", "rcpt_to", "exempt", "want", "did", "rule",
	"score", "failed", "unsure", "ms",
}

func decisionRow(r *checks.Record) []string {
	var ptr, failed, unsure []string
	for _, h := range r.Facts.PTR.Values {
		ptr = append(ptr, h.Name)
	}
	for _, f := range r.Findings {
		switch f.Result {
		case checks.Fail:
			failed = append(failed, f.Rule)
		case checks.Unsure:
			unsure = append(unsure, f.Rule)
		}
	}
	row := []string{
		r.Time.UTC().Format(time.RFC3339Nano), r.ID, r.QueueID, r.MTA, r.Client.String(), r.Iprev, strings.Join(ptr, " "),
		r.Helo.Raw, r.MailFrom, strings.Join(r.RcptTo, " "), r.Exempt, r.Verdict.Want, r.Verdict.Did, r.Verdict.Rule,
		decimal(r.Verdict.Score), strings.Join(failed, " "), strings.Join(unsure, " "), decimal(r.Millis),
	}
	for i := range row {
		row[i] = safe(row[i])
	}
	return row
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// tableOf returns a table of a view.
func tableOf(v view, name string) *table {
	all, ok := v.(interface{ tables() []*table })
	if !ok {
		return nil
	}
	list := all.tables()
	i := slices.IndexFunc(list, func(t *table) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return list[i]
}
