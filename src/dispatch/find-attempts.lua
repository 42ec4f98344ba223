#!lua flags=no-writes
-- Walks the log of attempts of one consumer from newer to older entries for a few milliseconds, and returns those of one
-- event. Redis is blocked meanwhile: so the time of a call is bounded, and the caller continues where it ended.
--
-- KEYS[1]  the stream
-- ARGV[1]  newest id (inclusive, or `(<id>`)  ARGV[2]  oldest id
-- ARGV[3]  microseconds, at most              ARGV[4]  event id, as in the log of attempts
-- Returns {`newest` of the next call, or '' at the end, the fields of each entry with attempts of the event: of its
-- lines, only those of the event}
local newest, oldest, wanted = ARGV[1], ARGV[2], ARGV[4]
-- Entries have up to 70 KB, mostly less than 10.
local PAGE = 20

local function nowMicroseconds()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Comparing each line would take ten times as long.
local function linesOf(text)
  local lines = ''
  local start = string.find(text, '\n' .. wanted .. ' ', 1, true)
  while start do
    local stop = string.find(text, '\n', start + 1, true) or #text + 1
    lines = lines .. string.sub(text, start, stop - 1)
    start = string.find(text, '\n' .. wanted .. ' ', stop, true)
  end
  return lines
end

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local endsAt = nowMicroseconds() + tonumber(ARGV[3])
local found = {}
while true do
  local page = redis.call('XREVRANGE', KEYS[1], newest, oldest, 'COUNT', PAGE)
  for i = 1, #page do
    local fields = page[i][2]
    if fields[1] == 'total' then
      local lines = linesOf(fields[6])
      if lines ~= '' then
        found[#found + 1] = { 'attempts', lines }
      end
    elseif fields[2] == wanted then
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
