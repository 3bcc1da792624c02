// Package opensmtpd is the OpenSMTPD side of helo-milter: a filter of smtpd's line protocol,
// smtpd-filters(7), that has SMTP sessions judged by way of package door.
//
//	smtpd ── lines ──► Filter ── events ──► session ──► door.Session ──► checks
//	      ◄── answers, data lines ──────────────┘
//
// [Filter] reads standard input, in which the lines of all SMTP sessions follow each other, and hands each
// line to its session. A session works through its events in order, in a goroutine that there is only while
// it has some: a decision that waits for the DNS delays neither another session nor the reader. Reports
// (link-connect, link-identify, link-auth) open a [door.Session], greet and log in, so that the lookups run
// from the connection on; the filter requests mail-from, rcpt-to and data are answered, each once;
// data-line requests are the message, which comes back with our field at its top and without those that
// claim to be ours (message.go).
//
// smtpd must never see an answer that it does not expect: an answer at the wrong time, or one with another
// token, is fatal to it (lka_filter.c), and it ends when a filter does. So what cannot be read is logged
// and left out, an internal error is answered as if there was none, and nothing is answered twice.
//
// # How to add something
//
// An event: its name in reports or requests (filter.go), a case in session.report or session.request, and a
// line in the table of TestFilter. FuzzFilter then tries it without another line.
package opensmtpd
