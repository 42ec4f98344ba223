#!lua flags=no-writes
-- Counts dead letters by reason, without sending their events.
--
-- KEYS[1]  stream of dead letters    ARGV[1]  where to begin    ARGV[2]  how many at most
-- Returns the last id, or false at the end, then each reason and its count
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local counts = {}
for _, entry in ipairs(entries) do
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'reason' then
      counts[fields[i + 1]] = (counts[fields[i + 1]] or 0) + 1
    end
  end
end
local last = #entries == tonumber(ARGV[2]) and entries[#entries][1]
local result = { last }
for reason, count in pairs(counts) do
  result[#result + 1] = reason
  result[#result + 1] = count
end
return result
