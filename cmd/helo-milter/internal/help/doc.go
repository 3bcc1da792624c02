// Package help is what a sender's administrator gets who was refused: a page of her own case, and a test whether what
// she has changed is right.
//
// A refusal ends with a link. Its last part is a [Ticket], sealed with the key of the hosts that share it (ticket.go,
// keys.go): so the page needs no database, and is the same on each of them and after a restart. What it does not carry,
// nobody can ask about: the page is no oracle of the DNS or of who writes to whom.
//
//	refusal ──Seal──► link ──Open──► Ticket ─┬─► what was said and what the DNS said then
//	                                         ├─► Test: the DNS as it is now (the DNS half)
//	                                         └─► Seen: the client's next greeting (the HELO half)
//
// page.go turns a [State] into HTML, and server.go is the HTTP around it, with its limits. What is known of each rule now
// is found in halves.go, and is one of five colours: wrong, wrong but no reason to refuse here, not tested, not to be
// found out since a lookup failed, and good. The conclusion is in banner.go, and what the DNS said in answers.go. Before
// the first test, a ticket stands for a record (recorded.go): what it does not say is not known.
package help
