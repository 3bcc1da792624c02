-- Fields of our name that came with the message are deleted, in any case; others stay.
conn = begin("2001:db8::10", "mail6.example.org")
send(conn, "sender@example.org", "reader@example.net")
header(conn, "X-HELO-Check", "accept; forged=1")
header(conn, "Subject", "a message")
header(conn, "x-helo-CHECK", "accept; forged=2")
finish(conn)
replied(conn, SMFIR_ACCEPT, "end of message")
inserted(conn, "accept; client=2001:db8::10; helo=mail6.example.org; iprev=pass;")
if not mt.eom_check(conn, MT_HDRDELETE, "X-HELO-Check") then
	error("the forged fields stay")
end
if mt.eom_check(conn, MT_HDRDELETE, "Subject") then
	error("the subject was deleted")
end
mt.disconnect(conn)
