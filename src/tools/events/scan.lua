#!lua flags=no-writes
-- Walks a stream from newer to older entries for a few milliseconds, and returns the entries that may match. Redis is
-- blocked meanwhile: so the time of a call is bounded, and the caller continues where it ended.
--
-- KEYS[1]  the stream
-- ARGV[1]  newest id (inclusive, or `(<id>`)  ARGV[2]  oldest id
-- ARGV[3]  microseconds, at most              ARGV[4]  matching entries, at most
-- ARGV[5]  JSON: {"types": […], "texts": [[…], …]}. An entry matches if its field `type` contains one of `types`, and
--          its field `event` contains one text of each list of `texts`. An empty list of types is matched by all.
-- Returns {entries walked, newest id, oldest id, '1' if the range is walked to its end, the matching entries}
local newest, oldest = ARGV[1], ARGV[2]
local budget, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
local filter = cjson.decode(ARGV[5])
local find = string.find

-- An entry can have 8 MiB: pages are limited by bytes, which the page before predicts, and the first is small.
local FIRST_PAGE, MAX_PAGE, PAGE_BYTES, MAX_REPLY_BYTES = 4, 64, 64 * 1024, 1024 * 1024

local function nowMicroseconds()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function containsAny(text, needles)
  for i = 1, #needles do
    if find(text, needles[i], 1, true) then
      return true
    end
  end
  return #needles == 0
end

local function mayMatch(kind, event)
  if not containsAny(kind, filter.types) then
    return false
  end
  for i = 1, #filter.texts do
    if not containsAny(event, filter.texts[i]) then
      return false
    end
  end
  return true
end

local endsAt = nowMicroseconds() + budget
local walked, first, last, found, replyBytes = 0, '', '', {}, 0
local count = FIRST_PAGE
while true do
  local page = redis.call('XREVRANGE', KEYS[1], newest, oldest, 'COUNT', count)
  local bytes = 1
  for i = 1, #page do
    local id, fields = page[i][1], page[i][2]
    local kind, event = '', ''
    for field = 1, #fields, 2 do
      bytes = bytes + #fields[field + 1]
      if fields[field] == 'type' then
        kind = fields[field + 1]
      elseif fields[field] == 'event' then
        event = fields[field + 1]
      end
    end
    walked = walked + 1
    first = first == '' and id or first
    last = id
    if mayMatch(kind, event) then
      found[#found + 1] = { id, kind, event }
      replyBytes = replyBytes + #event
      if #found >= limit or replyBytes >= MAX_REPLY_BYTES then
        return { walked, first, last, '0', found }
      end
    end
  end
  if #page < count then
    return { walked, first, last, '1', found }
  end
  newest = '(' .. last
  count = math.max(1, math.min(MAX_PAGE, math.floor(PAGE_BYTES * #page / bytes)))
  if nowMicroseconds() >= endsAt then
    return { walked, first, last, '0', found }
  end
end
