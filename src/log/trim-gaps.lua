#!lua flags=allow-oom
-- Removes entries that every consumer group has acknowledged but that come after one that is not acknowledged, which
-- trim.lua cannot reach from the old end. Without this, a single entry that its consumer never acknowledges would
-- keep everything after it, and fill Redis. A full Redis allows it: this makes room.
--
-- KEYS[1]  the stream
-- ARGV[1]  how many entries to look at
-- ARGV[2]  the id after which to look
-- Returns {removed, the last id that was looked at, or '' if nothing is left to look at}
local key, most, after = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local PAGE_ENTRIES = 10
-- Redis does nothing else during a call, and copying 1 MiB takes about a millisecond.
local MAX_BYTES = 1024 * 1024

local function less(a, b)
  local aMs, aSeq = string.match(a, '^(%d+)-(%d+)$')
  local bMs, bSeq = string.match(b, '^(%d+)-(%d+)$')
  aMs, aSeq, bMs, bSeq = tonumber(aMs), tonumber(aSeq), tonumber(bMs), tonumber(bSeq)
  return aMs < bMs or (aMs == bMs and aSeq < bSeq)
end

local groups = {}
-- The id up to which every group has been handed the entries, and the lag and pending entries of the group that is
-- the furthest behind.
local handed, lag, pending = nil, nil, nil
if redis.call('EXISTS', key) == 1 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local fields = {}
    for i = 1, #group, 2 do
      fields[group[i]] = group[i + 1]
    end
    groups[#groups + 1] = fields['name']
    if not handed or less(fields['last-delivered-id'], handed) then
      handed, lag, pending = fields['last-delivered-id'], fields['lag'], fields['pending']
    end
  end
end
-- If that group has nearly all of them pending, there is nothing to look for.
if not handed or handed == '0-0' or (lag and redis.call('XLEN', key) - lag <= pending + 1) then
  return { 0, '' }
end

local ids, bytes, atEnd = {}, 0, false
while #ids < most and bytes < MAX_BYTES and not atEnd do
  -- Without the last one that was handed out: if it were removed, Redis could no longer tell how far groups are behind.
  local page = redis.call('XRANGE', key, '(' .. after, '(' .. handed, 'COUNT', PAGE_ENTRIES)
  for _, entry in ipairs(page) do
    ids[#ids + 1], after = entry[1], entry[1]
    for _, text in ipairs(entry[2]) do
      bytes = bytes + #text
    end
  end
  atEnd = #page < PAGE_ENTRIES
end
if #ids == 0 then
  return { 0, '' }
end

local unacknowledged = {}
for _, group in ipairs(groups) do
  local found = redis.call('XPENDING', key, group, ids[1], ids[#ids], #ids)
  for _, one in ipairs(found) do
    unacknowledged[one[1]] = true
  end
  -- There can be more than were asked for, since entries that are gone can be pending too: go no further than seen.
  local last = #found == #ids and found[#found][1]
  while last and less(last, ids[#ids]) do
    ids[#ids], atEnd = nil, false
  end
end

local acknowledged = {}
for _, id in ipairs(ids) do
  if not unacknowledged[id] then
    acknowledged[#acknowledged + 1] = id
  end
end
local removed = #acknowledged > 0 and redis.call('XDEL', key, unpack(acknowledged)) or 0
return { removed, atEnd and '' or (ids[#ids] or after) }
