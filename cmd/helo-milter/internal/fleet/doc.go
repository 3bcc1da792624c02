// Package fleet is what several hosts share through servers that speak the Redis protocol: their decisions, their allow
// and deny list, and what they have seen of clients. Nothing in it is waited for by mail: decisions stay those of the
// host, and without the servers each goes on with what it has.
//
//	decisions ─► spool ─► Stream ─────► PREFIXdecisions:HOST   a stream for each host     ─► Reader ─► report, replay, show, console
//	                        └─────────► PREFIXhelo:NAME        who said a name            ┐
//	                                    PREFIXclient:ADDRESS   what names a client said   ┴► Census ─► checks.Facts
//	allow, deny ─► PREFIXlist ─► each host, with its last copy on disk
//	each host every 5 s ─► PREFIXhosts
//
// Every key is bounded: streams by fleet.records, sets by maxMembers, and all but the list expire. What is done with one key
// is atomic, and nothing needs two keys at once, so that a Cluster may have them on any of its nodes.
package fleet
