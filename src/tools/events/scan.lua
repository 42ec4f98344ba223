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

-- Dead letters have the same fields among others.
local function valueOf(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then
      return fields[i + 1]
    end
  end
  return ''
end

-- @include ../../log/stream-functions.lua

-- Whether nothing in the stream is as old as `newest`. Redis must not be asked then: XREVRANGE would look at every entry.
local function isBeforeFirst(first)
  local exclusive, ms, sequence = string.match(newest, '^(%(?)(%d+)-?(%d*)$')
  if not ms then
    return false
  end
  local id = ms .. '-' .. (sequence == '' and '18446744073709551615' or sequence)
  return less(id, first) or (exclusive == '(' and id == first)
end

local oldestEntry = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not oldestEntry or isBeforeFirst(oldestEntry[1]) then
  return { 0, '', '', '1', {} }
end
local endsAt = nowMicroseconds() + budget
local walked, first, last, found, replyBytes = 0, nil, '', {}, 0
local count = FIRST_PAGE
while true do
  local page = redis.call('XREVRANGE', KEYS[1], newest, oldest, 'COUNT', count)
  local bytes = 1
  for i = 1, #page do
    local fields = page[i][2]
    local kind, event = fields[2], fields[4]
    if fields[1] ~= 'type' or fields[3] ~= 'event' then
      kind, event = valueOf(fields, 'type'), valueOf(fields, 'event')
    end
    bytes = bytes + #event
    if mayMatch(kind, event) then
      found[#found + 1] = { page[i][1], kind, event }
      replyBytes = replyBytes + #event
      if #found >= limit or replyBytes >= MAX_REPLY_BYTES then
        return { walked + i, first or page[1][1], page[i][1], '0', found }
      end
    end
  end
  if #page > 0 then
    walked = walked + #page
    first = first or page[1][1]
    last = page[#page][1]
  end
  if #page < count or last == oldestEntry[1] then
    return { walked, first or '', last, '1', found }
  end
  newest = '(' .. last
  count = math.max(1, math.min(MAX_PAGE, math.floor(PAGE_BYTES * #page / bytes)))
  if nowMicroseconds() >= endsAt then
    return { walked, first, last, '0', found }
  end
end
