// Package past reads mail of the past: what a receiving host recorded about its clients, in its log or in the
// Received fields of what it delivered, and the decisions that this program recorded. It judges nothing, and
// makes no lookups. Every text in it is from the network.
//
// # How data flows
//
//	Paths          paths.go        the files that a command line names, patterns and all
//	Rotated        paths.go        a log, and what logrotate has made of it
//	Kept           kept.go         a daemon's decision log, read by the daemon itself beside mail
//	Source.Items   source.go       the files of a path, in order; seen.go: no record twice
//	  Open         open.go         standard input, gzip, byte order mark; interruptible
//	  detect       kind.go         the kind of a file, by its first 64 KiB
//	  Decisions    decisions.go    decision log ───────────────────────────────────► *checks.Record
//	    record     written.go      a line in the form that checks.Record.String writes; cursor.go reads its
//	                               JSON. encoding/json reads the lines of any other form
//	  Mbox         mail.go         mailbox: headers, one after the other ─┐
//	  Message      mail.go         one message ─► Received fields ────────┤
//	    handOver   handover.go     the field of the host that received it from outside
//	                               provider.go: whose hosts nobody has to list
//	    hop        received.go     its clauses; forms.go: the client in it ────────► Hop
//	  Log          log.go          mail log: line by line; block.go: records of several lines; session.go: what is
//	                               known of a connection, and of a message in the queue
//	    parse      carrier.go      what a container engine put around a line; json.go: as JSON
//	    parseLine  syslog.go       time, host, program and text of a line, in any format; date.go
//	    origin     program.go      which mail server a program is of
//	    postfix    postfix.go      what the text says about a connection or a message
//	    sendmail   sendmail.go
//	    exim       exim.go
//	    exchange   exchange.go ────────────────────────────────────────────────────► Hop
//
// A Hop has only what was recorded. In its facts, every answer that was not recorded is a failed lookup, so
// that no rule fails because of it. An error about a line or a message is a *Broken, and reading continues.
// shape.go has its form: the text without addresses and names, by which it is counted. A field that cannot be
// read is never skipped: what is below it may be written by the client.
//
// # How to add a field of a decision record
//
// Add it to written.go, at its place in the order of checks.Record: until then TestWritten fails, and records
// that have it are read by encoding/json, which takes four times as long.
//
// # How to add a Received form
//
// A form is how a mail server records its client in a Received field. If Relaymail is new, its example in
// testdata/received.txt and its row in forms.go may be
//
//	# Relaymail
//	Received: from friend (host=mail.example.org addr=203.0.113.9) by mx.example.net (Relaymail 1.0)
//		with ESMTP id 7; Fri, 22 May 2026 06:00:00 +0000
//	= 203.0.113.9 "friend" confirmed mail.example.org by=mx.example.net id=7
//
//	newForm("Relaymail", `\(Relaymail `, `<helo> \(host=<name> addr=<ip>\)`, checks.ReverseConfirmed),
//
// and these are the steps:
//
//  1. Find out from the server's source when it writes a name: only if it is confirmed
//     (checks.ReverseConfirmed), or any PTR name (checks.ReverseUnchecked). If it never writes one, the value
//     is checks.ReverseUnrecorded.
//  2. Add the example to testdata/received.txt, after an empty line: "# " and the server, the field with its
//     lines as they are, and "= " with the hop that you expect, as mailHop of received_test.go writes it. go
//     test ./cmd/helo-milter/internal/past -run TestReceived fails: "unknown form of client in Received".
//  3. Add the row to forms in forms.go, before those of "HELO in a comment" and "others", which match many
//     servers. Its columns are the server, as in the example; a regular expression for the server itself,
//     which sees the clauses by and with and the word of id, in this order; one for the client, which sees the
//     clause from without that word; and the value of step 1. newForm lists the words for the parts of a
//     client. Say above the row which file and function of the server write it, and what a name means there.
//  4. The test passes. It would also fail if a row had no example. Add an example of each variant of the
//     field: IPv6, no PTR name, authenticated, no HELO. A client that said no HELO may need a row with
//     <silence>, and a word other than "unknown" for no PTR name an entry in noNames of forms.go.
//  5. Ask what a client can write into the field, if the server does not check its HELO: blanks and brackets,
//     another address. Add it to TestHostileReceived. No such text may make another client of it; a field
//     with two addresses or two HELO names is of no form.
//  6. If the server marks authenticated clients in its own way, extend login (a comment) or loggedIn (a
//     protocol) in received.go; a field of mail from no client at all is local or queued; if its clauses
//     begin with other words, extend keywords.
//  7. Name the server in the table of README.md here.
//
// # How to add a provider of mailboxes
//
// If each message of a provider passes several of its hosts, and their names differ from message to message,
// it is a row of providers in provider.go: how its topmost field looks, what its hosts are called, and what to
// give with --trusted. Addresses in inner are walked over: only those from which no customer of the provider
// can reach these hosts. Add its fields to TestProviders, and below each message one that its client forged.
//
// # How to add the format of a log line
//
// The format is the envelope of a line (time, host, program), whichever mail server wrote the text. There are
// two kinds: what a syslog daemon or a mail server writes, and what a container engine or a collector puts
// around that.
//
//  1. Add a line in that format to forms_test.go. For the first kind, add the text "A1:
//     client=unknown[203.0.113.9]" of postfix/smtpd on host mx to formTests, for the second the envelope
//     around plainLine to carriedTests; and the time that is expected, in UTC. TestLineFormats fails.
//  2. For the first kind, add a function to syslog.go that returns the entry of a line, and a case to
//     parseLine that recognizes its first bytes, before any case that would take them. parseLine has already
//     cut off a priority such as <22>. parseTag reads "HOST PROGRAM[PID]: TEXT", and instant completes a date
//     without a year or a zone. For the second kind, extend what peel of carrier.go tries: a time before the
//     line is read by dated, and a name by named; for JSON, add the names of its fields to json.go. Take off
//     only what stands at the beginning, and in so strict a form that no text of a client can look like it.
//     TestLineFormats passes.
//  3. Add a file of that line to TestSource in source_test.go, like "mail.log" with aMaillog: it has to give
//     "hop". detect asks parse, so this takes a change of kind.go only if the file is mistaken for a message
//     (firstField, isCarriedLog) or a decision log (isDecisions).
//  4. Name the format in the comment of Log.
//
// # How to add the log of a mail server
//
//  1. Add its lines to mtas_test.go: a function like postfix or exim that puts the envelope around the text,
//     a table like eximTests and a test like TestExim. Each case is a log, and its hops as readLog writes
//     them. Add the table to FuzzLog, too.
//  2. Add the names of its programs to origin of program.go, and for broken lines a part of its lines to signs
//     there. Add a case to readWhole of log.go.
//  3. Read the text in a file of its own (session.go has what helps): session returns what is known of a connection, meet sets its
//     client, and says its HELO; hop makes a Hop of that. open begins a message in the queue and done ends
//     it; refuse adds a refusal. Read text that the client can choose (sender, HELO, subject) last, or from
//     the end.
//  4. Say in the comment of Log what the log has of HELO and reverse DNS, and in the table of
//     README.md here.
package past
