#!lua flags=allow-oom
-- Removes entries that every consumer group has acknowledged, but that come after an unacknowledged one, so that
-- trim.lua cannot reach them. Otherwise a single entry that is never acknowledged would keep all later ones, and fill
-- Redis. Allowed while memory is full: it frees memory.
--
-- KEYS[1]  the stream
-- ARGV[1]  how many entries to look at
-- ARGV[2]  the id after which to start
-- Returns {removed, the last id that was looked at, or '' at the end}
local key, most, after = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local PAGE_ENTRIES = 10
-- Redis is blocked during a call, and copying 1 MiB takes about a millisecond.
local MAX_BYTES = 1024 * 1024

-- @include stream-functions.lua

-- The last id that was delivered to every group, and the lag and pending entries of the group that is furthest behind.
local delivered, lag, pending = nil, nil, nil
local groups = groupsOf(key)
for _, group in ipairs(groups) do
  if not delivered or less(group['last-delivered-id'], delivered) then
    delivered, lag, pending = group['last-delivered-id'], group['lag'], group['pending']
  end
end
-- If nearly all entries of that group are pending, there is nothing to find.
if not delivered or delivered == '0-0' or (lag and redis.call('XLEN', key) - lag <= pending + 1) then
  return { 0, '' }
end

local ids, bytes, atEnd = {}, 0, false
while #ids < most and bytes < MAX_BYTES and not atEnd do
  -- Without the last delivered entry: if it were removed, Redis would no longer know the lag of groups.
  local page = redis.call('XRANGE', key, '(' .. after, '(' .. delivered, 'COUNT', PAGE_ENTRIES)
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
  local found = redis.call('XPENDING', key, group['name'], ids[1], ids[#ids], #ids)
  for _, one in ipairs(found) do
    unacknowledged[one[1]] = true
  end
  -- Deleted entries can be pending too, so there can be more than were asked for: go no further than what was seen.
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
