#!lua flags=no-writes
-- Counts dead letters by reason, without sending their events.
--
-- KEYS[1]  stream of dead letters    ARGV[1]  where to begin    ARGV[2]  how many at most
-- Returns the last id, or false at the end, then each reason and its count

-- Redis copies the events too, of up to 8 MiB: the first page is small, and predicts the next.
local FIRST_PAGE, MAX_BYTES = 4, 1024 * 1024
local from, left, bytes, read = ARGV[1], tonumber(ARGV[2]), 0, 0
local counts, last = {}, false
local count = math.min(FIRST_PAGE, left)
while count > 0 do
  local entries = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', count)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    for i = 1, #fields, 2 do
      bytes = bytes + #fields[i + 1]
      if fields[i] == 'reason' then
        counts[fields[i + 1]] = (counts[fields[i + 1]] or 0) + 1
      end
    end
  end
  if #entries < count then
    last = false
    break
  end
  last = entries[#entries][1]
  from = '(' .. last
  read = read + #entries
  left = left - #entries
  count = math.min(left, math.floor((MAX_BYTES - bytes) * read / math.max(bytes, 1)))
end
local result = { last }
for reason, number in pairs(counts) do
  result[#result + 1] = reason
  result[#result + 1] = number
end
return result
