#!lua flags=allow-oom
-- Trims a stream from its old end: what is older than ARGV[1] or beyond the newest ARGV[2] entries, but nothing
-- that a consumer group has not acknowledged. Where memory is full, this is what makes room.
--
-- KEYS[1]  the stream
-- ARGV[1]  milliseconds an entry is kept by this server's clock, which is the clock of the ids; '' for no limit
-- ARGV[2]  how many entries may stay at most; more are trimmed whatever their age
-- ARGV[3]  how many entries one call may remove, about: Redis does nothing else meanwhile
-- Returns {removed, length}
local key, keepFrom = KEYS[1], '0-0'
local maxLength, limit = tonumber(ARGV[2]), tonumber(ARGV[3])

if redis.call('EXISTS', key) == 0 then
  return { 0, 0 }
end

local function less(a, b)
  local aMs, aSeq = string.match(a, '^(%d+)-?(%d*)$')
  local bMs, bSeq = string.match(b, '^(%d+)-?(%d*)$')
  aMs, aSeq, bMs, bSeq = tonumber(aMs), tonumber(aSeq) or 0, tonumber(bMs), tonumber(bSeq) or 0
  return aMs < bMs or (aMs == bMs and aSeq < bSeq)
end

if ARGV[1] ~= '' then
  local now = redis.call('TIME')
  local oldestMs = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - tonumber(ARGV[1])
  keepFrom = string.format('%.0f-0', math.max(0, oldestMs))
end

local length = redis.call('XLEN', key)
local excess = length - maxLength
if excess > 0 then
  -- The id of the first entry that may stay: the one after the excess, looked for in one bounded step.
  local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', math.min(excess, limit) + 1)
  local first = oldest[#oldest][1]
  if less(keepFrom, first) then
    keepFrom = first
  end
end

for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local fields = {}
  for i = 1, #group, 2 do
    fields[group[i]] = group[i + 1]
  end
  local unread = fields['last-delivered-id']
  if fields['pending'] > 0 then
    unread = redis.call('XPENDING', key, fields['name'])[2]
  else
    -- Everything up to here is acknowledged: the first unread entry is the next one.
    local ms, seq = string.match(unread, '^(%d+)-(%d+)$')
    if #seq < 16 then -- a longer one is no number Lua can add to; then one read entry stays
      unread = ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
    end
  end
  if less(unread, keepFrom) then
    keepFrom = unread
  end
end

-- Whole nodes first, as many as one call may; what is left of the last one exactly.
local removed = redis.call('XTRIM', key, 'MINID', '~', keepFrom, 'LIMIT', limit)
if removed == 0 then
  removed = redis.call('XTRIM', key, 'MINID', keepFrom)
end
return { removed, length - removed }
