#!lua flags=no-writes
-- Walks the log of attempts of one consumer from newer to older entries for a few milliseconds, and returns those of one
-- event. Redis is blocked meanwhile: so the time of a call is bounded, and the caller continues where it ended.
--
-- KEYS[1]  the stream
-- ARGV[1]  newest id (inclusive, or `(<id>`)  ARGV[2]  oldest id
-- ARGV[3]  microseconds, at most              ARGV[4]  event id, as in the log of attempts
-- Returns {`newest` of the next call, or '' at the end, the fields of each attempt}
local newest, oldest, wanted = ARGV[1], ARGV[2], ARGV[4]
local PAGE = 200

local function nowMicroseconds()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local endsAt = nowMicroseconds() + tonumber(ARGV[3])
local found = {}
while true do
  local page = redis.call('XREVRANGE', KEYS[1], newest, oldest, 'COUNT', PAGE)
  for i = 1, #page do
    local fields = page[i][2]
    if fields[1] == 'event' and fields[2] == wanted then
      found[#found + 1] = fields
    end
  end
  -- After the oldest entry, Redis must not be asked: it would look at every entry.
  if #page < PAGE or page[#page][1] == first[1] then
    return { '', found }
  end
  newest = '(' .. page[#page][1]
  if nowMicroseconds() >= endsAt then
    return { newest, found }
  end
end
