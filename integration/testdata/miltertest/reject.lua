-- A client that gives our name in HELO is refused for each recipient.
conn = begin("203.0.113.10", "mx.example.net")
send(conn, "sender@example.org", "reader@example.net")
replied(conn, SMFIR_REPLYCODE, "RCPT")
mt.rcptto(conn, "<another@example.net>")
replied(conn, SMFIR_REPLYCODE, "another RCPT")
mt.disconnect(conn)
