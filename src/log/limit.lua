#!lua flags=allow-oom
-- Drops the oldest entries of a stream that no consumer group reads: parked deliveries and dead letters.
-- Allowed while memory is full: it frees memory.
--
-- KEYS[1]  the stream
-- ARGV[1]  maximum age in milliseconds
-- ARGV[2]  bytes of memory that the stream may use. The newest entry stays, however large it is
-- ARGV[3]  share of maxmemory, from 0 to 1, that the stream may use, where that is less
-- ARGV[4]  about how many entries a call may drop for each reason: Redis is blocked meanwhile
-- Returns {dropped by age, dropped by size}
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

-- A few entries at a time, because one can be as large as all others together. Sizes of entries are not read: copying
-- an entry of several MiB takes longer than removing it and measuring the stream again.
local bySize = 0
for _ = 1, 8 do
  local bytes, length = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0, redis.call('XLEN', key)
  if bytes <= allowed or length < 2 then
    break
  end
  local share = math.floor(length * (bytes - allowed) / bytes / 8)
  local drop = math.min(math.max(1, share), length - 1, most - bySize)
  bySize = bySize + redis.call('XTRIM', key, 'MAXLEN', length - drop)
end
return { byAge, bySize }
