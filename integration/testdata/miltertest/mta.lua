-- The functions of every script, and how to run one:
--   miltertest -D socket=unix:/PATH -D script=accept.lua -s mta.lua
-- Each step ends the script with an error when it fails.

local function must(problem, step)
	if problem ~= nil then
		error(step .. ": " .. problem, 3)
	end
end

-- begin connects and sends CONNECT and HELO.
function begin(client, helo)
	local conn = mt.connect(socket, 40, 0.1)
	if conn == nil then
		error("cannot connect to " .. socket)
	end
	mt.macro(conn, SMFIC_CONNECT, "j", "mx.example.net")
	must(mt.conninfo(conn, "[" .. client .. "]", client), "CONNECT")
	must(mt.helo(conn, helo), "HELO")
	return conn
end

function send(conn, from, to)
	must(mt.mailfrom(conn, "<" .. from .. ">"), "MAIL")
	must(mt.rcptto(conn, "<" .. to .. ">"), "RCPT")
end

function header(conn, name, value)
	must(mt.header(conn, name, value), "header")
end

function finish(conn)
	must(mt.eom(conn), "end of message")
end

function replied(conn, want, what)
	local got = mt.getreply(conn)
	if got ~= want then
		error(what .. ": the reply is " .. string.char(got) .. ", not " .. string.char(want), 2)
	end
end

-- inserted requires our field, once, at the top, with a value that starts with a text.
function inserted(conn, begins)
	local value = mt.getheader(conn, "X-HELO-Check", 0)
	if value == nil or not mt.eom_check(conn, MT_HDRINSERT, "X-HELO-Check", value, 0) then
		error("nothing was inserted at the top", 2)
	end
	if mt.getheader(conn, "X-HELO-Check", 1) ~= nil then
		error("more than one was inserted", 2)
	end
	if string.sub(value, 1, #begins) ~= begins then
		error("the header is " .. value, 2)
	end
end

-- After an error miltertest exits with 1 and does not print it.
local fine, problem = pcall(dofile, script)
if not fine then
	print(problem)
	error(problem)
end
