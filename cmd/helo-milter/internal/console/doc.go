// Package console shows a daemon's evidence in a browser while it grows, and what another configuration would have
// decided. It changes nothing.
//
// # How data flows
//
//	daemon ── lines, as in the decision log ──► Console.Write   feed.go    behind a spool, which never waits for it
//	hosts of a fleet, by a server ──► Fleet        fleet.go   host by host, and then again and again what is new
//	              tail       tail.go     the rows of other hosts
//	              recent     recent.go   the last ones, as lines of at most 16 MiB
//	              growth     growth.go   an evidence.Tally: the decision log's, read at the start, and these
//	                         shared.go   or what all hosts share, this one too: exactly what a report over "fleet:" reads
//	              streams    stream.go   the open pages that show them
//
//	browser ──► guard        guard.go    password, origin, limits
//	              routes     serve.go    each page is a view, plain data: views are in now.go, decision.go, clients.go,
//	                                     rules.go, days.go, dns.go and whatif.go
//	              kept       kept.go     what a query reads: the decision log of the last 30 days, or what hosts share,
//	                                     or else recent
//	              search     search.go   the clients of a query
//	              trial      trial.go    what replay says of another configuration
//	            ◄── page, table, event   page.go, table.go, live.go
//
// Mail does not wait for anything here: lines that come too fast are dropped and counted; queries, two at a time, and
// trials, one at a time, work in one goroutine each and let go before each record.
//
// Text from the network enters a page once, cleaned by package clean, and html/template escapes it.
//
// # How to add a page
//
//  1. A view: a type with the data of the page and the methods template, status (embed fine) and, where it has some,
//     tables; and a function of a request that makes it.
//  2. A template of the name that template returns.
//  3. A row in pages of serve.go: the address, the title, its place in the menu, how often it looks for what has
//     changed, and the function.
//  4. A row in TestPages, and in pages of integration/console_test.go.
package console
