-- The load of small files, for wrk with one thread: a number of files over persistent connections, all of them different.
-- Arguments: how many files, their size in bytes, and how each is sent: "put", "post" (creation with upload) or
-- "post-patch". A file's PATCH is sent over the connection that is free next. Prints "sent" when all files have been
-- answered, "refused" when one was, and then waits to be interrupted; at its end one line of JSON.

local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds, nanoseconds; } bench_time; int clock_gettime(int, bench_time *);")

local MONOTONIC = 1
local FOREVER_MS = 1e9
local ID_BYTES = 32

-- Of the sending thread: what is prepared once.
local total, size, protocol, head, patchFields, seed, tail
-- Of the sending thread: what changes.
local reserved, patches, bodies, answered, startedAt = 0, 0, 0, 0, nil
-- Uploads that were created: those up to lastPatched have been taken for a PATCH.
local locations, lastPatched, lastCreated = {}, 0, 0
-- Read by done(), in another Lua state.
seconds, refusal = nil, nil

local function now()
  local time = ffi.new("bench_time")
  ffi.C.clock_gettime(MONOTONIC, time)
  return tonumber(time.seconds) + tonumber(time.nanoseconds) / 1e9
end

local function randomBytes(count)
  local file = assert(io.open("/dev/urandom", "rb"))
  local bytes = file:read(count)
  file:close()
  return bytes
end

local function format(method, path, fields)
  return method .. " " .. path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n" .. fields
end

local function say(word)
  io.write(word, "\n")
  io.flush()
end

function init(arguments)
  total, size, protocol = tonumber(arguments[1]), tonumber(arguments[2]), arguments[3]
  seed = randomBytes(8):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  tail = randomBytes(size - ID_BYTES)
  local length = "Content-Length: " .. size .. "\r\n\r\n"
  local body = "Content-Type: application/offset+octet-stream\r\n" .. length
  local tus = "Tus-Resumable: 1.0.0\r\n"
  local creation = tus .. "Upload-Length: " .. size .. "\r\n"
  patchFields = tus .. "Upload-Offset: 0\r\n" .. body
  if protocol == "put" then
    head = format("PUT", wrk.path, length)
  elseif protocol == "post" then
    head = format("POST", wrk.path, creation .. body)
  else
    head = format("POST", wrk.path, creation .. "Content-Length: 0\r\n\r\n")
  end
end

-- Called before each request, by each connection: reserves one. A connection for which there is none left waits.
function delay()
  startedAt = startedAt or now()
  if patches < lastCreated then
    patches = patches + 1
    return 0
  end
  if reserved == total then return FOREVER_MS end
  reserved = reserved + 1
  return 0
end

local function uniqueBody()
  bodies = bodies + 1
  return seed .. ("%016d"):format(bodies) .. tail
end

function request()
  if protocol ~= "post-patch" then return head .. uniqueBody() end
  if lastPatched == lastCreated then return head end
  lastPatched = lastPatched + 1
  local location = locations[lastPatched]
  locations[lastPatched] = nil
  return format("PATCH", location, patchFields) .. uniqueBody()
end

local function keepLocation(headers)
  for name, value in pairs(headers) do
    if name:lower() == "location" then
      lastCreated = lastCreated + 1
      locations[lastCreated] = value:gsub("^https?://[^/]+", "")
    end
  end
end

function response(status, headers, body)
  if status < 200 or status > 299 then
    if not refusal then
      refusal = ("status %d: %s"):format(status, body:sub(1, 200):gsub("[^%w %p]", " "):gsub('["\\]', "'"))
      say("refused")
    end
    return
  end
  if protocol == "post-patch" and status == 201 then return keepLocation(headers) end
  answered = answered + 1
  if answered < total then return end
  seconds = now() - startedAt
  say("sent")
end

local sender

function setup(thread)
  sender = thread
end

function done(summary, latency)
  local errors = summary.errors
  io.write(('{"seconds":%s,"p50Ms":%.3f,"p99Ms":%.3f,"lost":%d,"refusal":%s}\n'):format(
    sender:get("seconds") or "null",
    latency:percentile(50) / 1000,
    latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.timeout,
    sender:get("refusal") and '"' .. sender:get("refusal") .. '"' or "null"
  ))
end
