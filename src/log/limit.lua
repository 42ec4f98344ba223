#!lua flags=allow-oom
-- Drops the oldest entries of a stream that waits for people, not for consumer groups: parked deliveries and dead
-- letters. A full Redis allows it: this makes room.
--
-- KEYS[1]  the stream
-- ARGV[1]  milliseconds: what is older is dropped
-- ARGV[2]  bytes of memory that the stream may take. The newest entry stays, however large it is
-- ARGV[3]  share of maxmemory, from 0 to 1, that the stream may take where that is less
-- ARGV[4]  how many entries may be dropped in one call, about, for each reason: Redis does nothing else meanwhile
-- Returns {dropped because of their age, dropped because of the size}
local key, most = KEYS[1], tonumber(ARGV[4])

if redis.call('EXISTS', key) == 0 then
  return { 0, 0 }
end

local now = redis.call('TIME')
local oldestMs = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - tonumber(ARGV[1])
local from = string.format('%.0f-0', math.max(0, oldestMs))
local byAge = redis.call('XTRIM', key, 'MINID', '~', from, 'LIMIT', most)
if byAge == 0 then
  byAge = redis.call('XTRIM', key, 'MINID', from)
end

local allowed = tonumber(ARGV[2])
local maxMemory = tonumber(string.match(redis.call('INFO', 'memory'), '\nmaxmemory:(%d+)') or 0)
if maxMemory > 0 then
  allowed = math.min(allowed, tonumber(ARGV[3]) * maxMemory)
end
local excess = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) - allowed
if excess <= 0 then
  return { byAge, 0 }
end

-- One entry after the other, since one can be as large as all others together.
local length, bySize, last = redis.call('XLEN', key), 0, '-'
while excess > 0 and bySize < most and bySize < length - 1 do
  local entry = redis.call('XRANGE', key, last, '+', 'COUNT', 1)[1]
  for _, text in ipairs(entry[2]) do
    excess = excess - #text
  end
  bySize, last = bySize + 1, '(' .. entry[1]
end
if bySize > 0 then
  redis.call('XTRIM', key, 'MINID', redis.call('XRANGE', key, last, '+', 'COUNT', 1)[1][1])
end
return { byAge, bySize }
