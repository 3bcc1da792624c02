-- ABORT ends a message, not the session: the next message is judged by the same HELO.
conn = begin("203.0.113.10", "mail.example.org")
send(conn, "sender@example.org", "reader@example.net")
header(conn, "X-HELO-Check", "accept; forged=1")
mt.abort(conn)
send(conn, "another@example.org", "reader@example.net")
replied(conn, SMFIR_CONTINUE, "RCPT after ABORT")
header(conn, "Subject", "another message")
finish(conn)
replied(conn, SMFIR_ACCEPT, "end of message")
inserted(conn, "accept; client=203.0.113.10; helo=mail.example.org; iprev=pass;")
if mt.eom_check(conn, MT_HDRDELETE) then
	error("a field of the previous message was deleted")
end
mt.disconnect(conn)
