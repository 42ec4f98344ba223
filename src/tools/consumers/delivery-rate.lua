#!lua flags=no-writes
-- Counts the newest attempts of a consumer that delivered an event.
--
-- KEYS[1]  stream of attempts    ARGV[1]  milliseconds that are looked at    ARGV[2]  attempts that are read at most
-- Returns how many delivered, the milliseconds in which they did, and 1 if older ones were not read
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local from = string.format('%.0f', now - tonumber(ARGV[1]))
local entries = redis.call('XREVRANGE', KEYS[1], '+', from, 'COUNT', ARGV[2])
local delivered = 0
for _, entry in ipairs(entries) do
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'outcome' and fields[i + 1] == 'delivered' then
      delivered = delivered + 1
    end
  end
end
if #entries < tonumber(ARGV[2]) then
  return { delivered, tonumber(ARGV[1]), 0 }
end
local oldest = tonumber(string.match(entries[#entries][1], '^%d+'))
return { delivered, now - oldest, 1 }
