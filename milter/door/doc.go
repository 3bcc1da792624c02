// Package door is what all ways into helo-milter share: a client's SMTP session as a mail server reports it, whatever
// the protocol. A milter, a policy service and a filter are adapters that turn their events into calls of a [Session],
// and its answers into their replies. They have no judgement of their own.
//
//	Connect ─► Greet ─► Mail ─► LoggedIn ─► Rcpt ─► Value, Marked ─► Finish ─► Leave
//	                                         │        │               └─► Config.Decided
//	                                         ▼        ▼
//	                                       reply    header
//
// Connect, Greet and Mail wait for nothing, so that the lookups run while the client goes on. Rcpt waits for them, never
// longer than checks.DNS.Timeout.
//
// Everything that can fail in us fails open: the adapter recovers with [Session.Survives], or calls within [Session.Try],
// and the mail goes on. The panic is passed to Config.OnPanic, the transaction goes on unjudged, and its record and
// header say so ("unsure=internal"). A recipient that was refused before stays refused.
package door
