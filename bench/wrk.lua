-- Makes the requests of one kind, each with a key chosen uniformly among all users'.
--
--   wrk … -s wrk.lua URL -- KIND [FILE [COUNT]]
--
-- FILE holds the keys one after the other, without separators. It is kept as one
-- string, so that a million keys are no burden to the collector of garbage. Only
-- COUNT of them are used if that is given, from all over the file.

local TOKEN, SESSION = 40, 32
local DIGITS = "0123456789abcdef"

local threads = 0
function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

local function random_hex(digits)
    local parts = {}
    for i = 1, digits / 8 do
        parts[i] = string.format("%04x%04x", math.random(0, 65535), math.random(0, 65535))
    end
    return table.concat(parts)
end

local keys, width, count, stride
local function any_key()
    local at = math.random(0, count - 1) * stride * width
    return keys:sub(at + 1, at + width)
end

-- With one digit, anywhere, replaced by another.
local function changed(key)
    local at = math.random(1, #key)
    local digit = DIGITS:find(key:sub(at, at), 1, true)
    local other = (digit - 1 + math.random(1, 15)) % 16 + 1
    return key:sub(1, at - 1) .. DIGITS:sub(other, other) .. key:sub(at + 1)
end

local make
function init(args)
    math.randomseed(os.time() * 16 + number)
    local kind, file = args[1], args[2]
    if file then
        keys = assert(io.open(file, "rb")):read("*a")
        width = kind == "session" and SESSION or TOKEN
        count = tonumber(args[3]) or #keys / width
        stride = math.floor(#keys / width / count)
    end
    local host = "Host: " .. wrk.host .. ":" .. wrk.port .. "\r\n"
    local user = "GET /api/v1/user/ HTTP/1.1\r\n" .. host
    local token = user .. "Authorization: Token "
    local session = user .. "Cookie: sessionid="
    local last = "\r\n\r\n"
    local bare = "GET /healthz HTTP/1.1\r\n" .. host .. "\r\n"
    local makers = {
        bare = function() return bare end,
        token = function() return token .. any_key() .. last end,
        session = function() return session .. any_key() .. last end,
        ["unknown-token"] = function() return token .. random_hex(TOKEN) .. last end,
        ["near-token"] = function() return token .. changed(any_key()) .. last end,
        ["unknown-session"] = function() return session .. random_hex(SESSION) .. last end,
    }
    make = assert(makers[kind], "no such kind of request")
end

function request() return make() end

-- One line for the harness: requests, microseconds, p50, p99, answers of 400 and
-- above, and requests that got none.
function done(summary, latency)
    local e = summary.errors
    print(string.format("MEASURED %d %d %d %d %d %d", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), e.status,
        e.connect + e.read + e.write + e.timeout))
end
