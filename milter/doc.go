// Package milter is the MTA's side of helo-milter: it takes SMTP sessions from Postfix or Sendmail over the
// milter protocol, has them judged by way of package door, and gives the answer.
//
// # How a session flows
//
//	MTA ── bytes ──► Guard ── well-formed frames ──► go-milter ── callbacks ──► session ──► door.Session ──► checks
//	    ◄────────────── answer, header ────────────────────────────────────────────── Reply, Value
//
// Package gate lets connections in, from all sockets. [Guard] is the listener that go-milter gets them from: it bounds
// how long they may take, lets only such frames through as the library survives, and leaves out what no session reads,
// which would cost it more than all the rest. [Server] hands each connection to go-milter, whose callbacks reach
// one session per connection. A session is an adapter: CONNECT opens a [door.Session], HELO greets, MAIL
// begins a transaction, RCPT asks for a reply, and the end of the message inserts the header. CONNECT and
// HELO are answered at once, so that the lookups run while the client goes on; MAIL or RCPT waits for them.
//
// # How to add something
//
// A check of the guard: a kind in guard.go with a word of comment, the check in checkFrame (guard_frame.go),
// and a line in the table of TestGuardFrames. FuzzGuard then tries it without another line.
//
// Something that the MTA knows (a macro): its name in [NewServer] at the stage where the MTA has it, and in
// macrosRead; mta-facts in a comment where Postfix and Sendmail differ; read it in the callback of that stage,
// cut to a bound, since a macro may be text from the network; and a line in the table of TestSession.
package milter
