// Package evidence weighs decision logs: how many clients each rule hits, which of them look legitimate, and
// which rules a careful postmaster can enforce. It counts, recommends and prints; it makes no lookups.
//
// # How data flows
//
//	record ─► Tally.Judge         judged.go   judge the facts again, in several goroutines at once
//	          Tally.Count         tally.go    count transactions by kind of facts
//	            causes            causes.go   which failed lookups left rules unsure
//	            client, example   client.go   one small value a client, with the signs that it is legitimate
//	            ranking           top.go      the clients that are refused most
//	            hosts             hosts.go    what each mail server decided
//	            week              week.go     the last seven days and those before, after Tally.Compare
//	          Tally.Report        report.go   plain data, as --json prints it: a Section for each kind
//	            climb             ladder.go   a rule's share of clients hit, and the recommendation
//	            toml              paste.go    the configuration that enforces what is recommended
//	          Report.Text         text.go     terminal; sentences and figures in words.go
//	          Report.HTML         html.go     page, from report.html; the same sentences and figures
//	            Chart             chart.go    bars, as chart.html shows them on any page
//	          Letter.Write        letter.go   the letter about a week, from Section.changes
//
// Facts that were looked up live, recorded by a host, or looked up by replay are three kinds, and no figure
// combines two of them. The recommendation counts clients, not transactions, and is decided by the upper end
// of a 95 % interval: with too little mail it says wait.
//
// # How to add a figure
//
// A figure is a line at the top of a section, such as "MTA differs".
//
//  1. Count it: a field of counts in tally.go, which judge (or add, for exempt transactions, too) increments.
//  2. Report it: a field of Section in report.go with its JSON key, which section fills in.
//  3. Show it: a row of Figures in words.go. Text and HTML have it from there.
//  4. Write the goldens with go test ./cmd/helo-milter -run TestReport -update, and read their difference. If
//     no crowd in report_test.go of cmd/helo-milter has it, give one to healthy.
//
// # How to add a chart
//
// A chart is a method of Section in chart.go that returns a Chart: with Bars for columns by day, or with rows, see
// row, for what has names. Show it in report.html with the templates "chart" and "caption". A new kind of bar has
// its colour there, as a class. Each bar that means something has a label.
//
// # How to add a column of the rules
//
//  1. Count it: a field of ruleCounts in tally.go, incremented in judge for each finding; for clients, see
//     hit.
//  2. Report it: a field of RuleSummary in report.go with its JSON key, filled in by summary.
//  3. Show it in both: a heading and a cell in writeRules of text.go, where the string of table has a letter
//     for each column (l or r), and a th and a td with data-label in report.html under "The rules".
//  4. Write the goldens as above. No line of the text may be longer than 100 columns: TestReport checks it.
//
// A sign that a client is legitimate is a look in client.go, set in looksOf, with a row of witnesses in
// ladder.go and its place in against and speaksFor; describe it in Caveat of words.go, and add a line to
// TestLadder.
package evidence
