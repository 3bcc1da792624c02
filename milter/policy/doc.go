// Package policy is a policy service for mail servers without a milter: Postfix's SMTP access policy delegation
// (SMTPD_POLICY_README), which Exim can ask, too. It turns requests into calls of package door, and answers with an
// action of Postfix's access(5).
//
//	request ─► parse ─► sessions ─► session ─► door.Session ─► checks
//	action  ◄──────────────────────────┘
//
// A [Server] is a [gate.Door]. Each connection has a goroutine that reads requests and answers them one by one, until
// the peer has closed its side: Postfix keeps a connection for many SMTP sessions, and Exim makes one for each request.
//
// # Which request belongs to which session
//
// An SMTP session is known by the client's address and port, or by the attribute instance where there is no port, so
// that it goes on whatever connection its requests come on. It ends when its connection goes on with another one (an
// smtpd process of Postfix has one client at a time), when the client connects anew, or [sessionLife] after its last
// request. All its greetings count.
//
// A message is known by instance, which Postfix sets at MAIL. Where that is the same for all messages of a session, it
// is another one after DATA, or when the sender changes.
//
// # What is answered
//
// CONNECT, HELO, EHLO, VRFY and ETRN: DUNNO at once. The lookups run while the client goes on.
//
// QUIT: DUNNO, and the session is over. Postfix has no such state, and knows no server_name: its name, by which we know
// that a client claims it. Other mail servers say both.
//
// MAIL: DUNNO, or the refusal where that is wanted at MAIL.
//
// RCPT: DUNNO, a reply such as 550 5.7.1, or DEFER_IF_PERMIT for a temporary one, so that a recipient whom Postfix
// does not know stays unknown.
//
// DATA: PREPEND with the header field, once per message: that is the last state where Postfix takes it, and what the
// field says of the recipients is known only then. Who cannot ask at DATA sets policy_context=header: then it is said
// at the first recipient that we accept, too, and not again. END-OF-MESSAGE: DUNNO.
//
// Fields that came with the message are not taken out: the protocol has nothing for that.
package policy
