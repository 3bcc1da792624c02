// Package fleet is what several hosts share through servers that speak the Redis protocol: their decisions, their
// allow and deny list, and what they have seen of clients. Nothing in it is waited for by mail: decisions stay those
// of the host, and without the servers each goes on with what it has.
//
//	decisions ─► spool ─► Decisions ─► PREFIXdecisions:HOST, a stream for each host ─► Stream ─► report, replay, …
//	                          └──────► PREFIXhelo:NAME, who said a name           ┐
//	                                   PREFIXclient:ADDRESS, what a client said   ┴──► Census ─► checks.Facts
//	commands ─► List ─► PREFIXlist ─► List ─► each host, with its last copy in a file (package listfile)
//	each host, every 5 s ─► Presence ─► PREFIXhosts
//
// Every key is bounded: streams by fleet.records, sets by maxMembers, and all but the list and the hosts expire. What
// is done with one key is atomic, and nothing needs two keys at once, so that a Cluster may have them on any of its
// nodes.
//
// To share something else: a file with its key, a bound and a time to live; a row in README.md; and what becomes of it
// when the server is away, in a row of TestFleetFaults.
package fleet
