#!lua flags=allow-oom
-- Trims a stream from its old end, but no entry that a consumer group has not acknowledged. Allowed while memory is
-- full: it frees memory.
--
-- KEYS[1]  the stream
-- ARGV[1]  about how many entries a call may remove for each of the following reasons; 0 removes none
-- ARGV[2]  '', or the maximum age in milliseconds, by this server's clock, which is also the clock of the ids
-- ARGV[3]  '', or the maximum length: older entries beyond it are removed, whatever their age
-- ARGV[4]  '', or a share of maxmemory: while more is in use, entries that every group has acknowledged are removed.
--          Without a group, none are removed for this reason
-- A stream that does not exist yet is empty.
-- Returns {removed by age, by length, by memory}; with ARGV[4] also: id of the oldest entry left ('' where there is
--         none), run id of the server, bytes in use before and after, maxmemory
local key, limit = KEYS[1], tonumber(ARGV[1])
local NEWEST = '18446744073709551615-18446744073709551615'
-- Redis keeps up to 100 entries in a node of a stream, and fewer where they exceed 4 KiB together.
local NODE_ENTRIES = 100

-- @include stream-functions.lua

local function oldest()
  local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)
  return first[1] and first[1][1] or ''
end

-- The first entry that some group has not acknowledged; all entries before it may be removed.
local groups = groupsOf(key)
local unread = NEWEST
for _, fields in ipairs(groups) do
  -- Entries up to the last delivered one are acknowledged unless they are pending. The next entry is unread.
  local first = fields['last-delivered-id']
  local ms, seq = string.match(first, '^(%d+)-(%d+)$')
  if #seq < 16 then -- Lua cannot add to a longer one exactly; one entry more stays then
    first = ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
  end
  if fields['pending'] > 0 then
    -- A group that was set back has pending entries after the unread ones too.
    local pending = redis.call('XPENDING', key, fields['name'])[2]
    first = less(pending, first) and pending or first
  end
  if less(first, unread) then
    unread = first
  end
end

-- Removes about `most` entries, at most, that are before `from`.
local function trim(from, most)
  local first = oldest()
  if most <= 0 or first == '' or not less(first, from) then
    return 0
  end
  -- Whole nodes are cheap to remove.
  local removed = redis.call('XTRIM', key, 'MINID', '~', from, 'LIMIT', most)
  if removed > 0 then
    return removed
  end
  -- `from` is in the first node, or that node has more entries than may be removed.
  if most < NODE_ENTRIES then
    local entries = redis.call('XRANGE', key, '-', '+', 'COUNT', most + 1)
    if #entries > most and less(entries[#entries][1], from) then
      from = entries[#entries][1]
    end
  end
  return redis.call('XTRIM', key, 'MINID', from)
end

local byAge, byLength, byMemory = 0, 0, 0

if ARGV[2] ~= '' then
  local now = redis.call('TIME')
  local oldestMs = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - tonumber(ARGV[2])
  local from = string.format('%.0f-0', math.max(0, oldestMs))
  byAge = trim(less(unread, from) and unread or from, limit)
end

if ARGV[3] ~= '' then
  byLength = trim(unread, math.min(limit, redis.call('XLEN', key) - tonumber(ARGV[3])))
end

if ARGV[4] == '' then
  return { byAge, byLength, 0 }
end

local function memory()
  local info = redis.call('INFO', 'memory')
  local function field(name)
    return tonumber(string.match(info, '\n' .. name .. ':(%d+)') or 0)
  end
  -- Redis does not count the buffers of replicas and of the append-only file towards maxmemory.
  return field('used_memory') - field('mem_not_counted_for_evict'), field('maxmemory')
end

local before, maxMemory = memory()
local after = before
if limit > 0 and #groups > 0 and maxMemory > 0 and before > tonumber(ARGV[4]) * maxMemory then
  byMemory = trim(unread, limit)
  after = memory()
end
local server = string.match(redis.call('INFO', 'server'), '\nrun_id:(%w+)') or ''
return { byAge, byLength, byMemory, oldest(), server, before, after, maxMemory }
