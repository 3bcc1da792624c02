-- A good client: its message is accepted, with our field at the top and nothing else changed.
conn = begin("203.0.113.10", "mail.example.org")
send(conn, "sender@example.org", "reader@example.net")
replied(conn, SMFIR_CONTINUE, "RCPT")
header(conn, "Subject", "a message")
finish(conn)
replied(conn, SMFIR_ACCEPT, "end of message")
inserted(conn, "accept; client=203.0.113.10; helo=mail.example.org; iprev=pass;")
for _, change in ipairs({ MT_HDRADD, MT_HDRCHANGE, MT_HDRDELETE, MT_BODYCHANGE }) do
	if mt.eom_check(conn, change) then
		error("more was changed: " .. change)
	end
end
mt.disconnect(conn)
