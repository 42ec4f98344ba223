#!lua flags=no-writes
-- Counts the newest attempts of a consumer that delivered an event.
--
-- KEYS[1]  stream of attempts    ARGV[1]  milliseconds that are looked at    ARGV[2]  attempts that are read, about
-- Returns how many delivered, the milliseconds in which they did, and 1 if older ones were not read
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local from = now - tonumber(ARGV[1])
local PAGE = 5

local read, delivered, oldest = 0, 0, now

-- The id of an entry says when it was written, which can be long after its first attempt.
local function count(fields)
  local lines = fields[6]
  if fields[1] ~= 'total' then
    lines = '\n- ' .. fields[8] .. ' 1 ' .. fields[6] -- version 0.1: one attempt
  end
  for outcome, ms in string.gmatch(lines, '\n%S+ (%S+) %d+ (%d+)') do
    ms = tonumber(ms)
    if ms >= from then
      read = read + 1
      oldest = math.min(oldest, ms)
      if outcome == 'delivered' then
        delivered = delivered + 1
      end
    end
  end
end

local newest = '+'
while true do
  local page = redis.call('XREVRANGE', KEYS[1], newest, string.format('%.0f', from), 'COUNT', PAGE)
  for _, entry in ipairs(page) do
    count(entry[2])
    if read >= tonumber(ARGV[2]) then
      return { delivered, now - oldest, 1 }
    end
    newest = '(' .. entry[1]
  end
  if #page < PAGE then
    return { delivered, tonumber(ARGV[1]), 0 }
  end
end
