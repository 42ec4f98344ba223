#!lua flags=allow-oom
-- Reads for a group, if the reader still holds the partition's lease. Both happen in one call, so that a member that
-- lost its lease without knowing cannot take an entry from the new holder. Allowed while memory is full: consumers
-- make entries trimmable.
--
-- KEYS[1]  the lease               KEYS[2]  stream of events
-- KEYS[3]  set while acknowledged entries are pending again: see redeliver.lua
-- ARGV[1]  the member's token      ARGV[2]  group
-- ARGV[3]  name of the consumer in the group
-- ARGV[4]  how many entries at most
-- ARGV[5]  'new', or 'pending': the pending entries of every consumer in the group
-- ARGV[6]  pending: after this id ('0-0': all)
--          new: no entry after this id was read. One that is pending was delivered by a call whose reply was lost, and
--          which Redis ran later than the calls after it: the bytes of a closed connection can arrive last.
-- ARGV[7]  no entry is read after so many bytes, except the new ones that are read together with the last, 16 at most
--
-- Returns {'lease_lost'}       another member holds the lease, or none; nothing was done
--         {'pending_changed'}  the reader does not know all pending entries: start with them; nothing was read
--         {'pending', <cursor>, <deleted>, {entry…}}  continue after the cursor, '' at the end;
--                                                     deleted: entries that are no longer in the stream
--         {'new', <cursor>, 0, {entry…}}              without entries, the cursor is the stream's last id
-- An entry is {id, {field, value, …}, earlier deliveries}.
local stream, group, consumer = KEYS[2], ARGV[2], ARGV[3]
local max_entries, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[7])

-- @include ../log/stream-functions.lua

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'lease_lost' }
end

-- A missing group was lost together with the data of Redis, so every entry of the stream is newer than that.
local function call(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    reply = redis.pcall(...)
  end
  if type(reply) == 'table' and reply.err then
    return nil, reply
  end
  return reply
end

local entries, bytes = {}, 0

local function add(id, fields, deliveries)
  entries[#entries + 1] = { id, fields, deliveries }
  for _, text in ipairs(fields) do
    bytes = bytes + #text
  end
end

if ARGV[5] == 'pending' then
  local start = ARGV[6] == '0-0' and '-' or '(' .. ARGV[6]
  local pending, failed = call('XPENDING', stream, group, start, '+', ARGV[4])
  if failed then
    return failed
  end
  local cursor, deleted = '', 0
  for number, one in ipairs(pending) do
    local id = one[1]
    -- With its delivery count: a takeover is not an attempt. But an entry that counts as never delivered is delivered now,
    -- as XREADGROUP counts a new one: otherwise an event that ends its process would never have an attempt.
    local count = string.format('%.0f', math.max(1, one[4]))
    local claimed = redis.call('XCLAIM', stream, group, consumer, 0, id, 'RETRYCOUNT', count)
    if claimed[1] then
      add(id, claimed[1][2], one[4])
    else
      deleted = deleted + 1
    end
    if number == max_entries or bytes >= max_bytes then
      cursor = id
      break
    end
  end
  return { 'pending', cursor, deleted, entries }
end

if redis.call('DEL', KEYS[3]) == 1 then
  return { 'pending_changed' }
end
local pending, failed = call('XPENDING', stream, group)
if failed then
  return failed
end
local newest = pending[3]
if newest and less(ARGV[6], newest) then
  return { 'pending_changed' }
end

-- A few at a time, because the size of an entry is not known before it is read. A call costs about as much as half an entry
-- of 1 KB.
local few = 2
while #entries < max_entries and bytes < max_bytes do
  few = math.min(2 * few, 16, max_entries - #entries)
  local read
  read, failed = call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', few, 'STREAMS', stream, '>')
  if failed then
    return failed
  end
  if not read then
    break
  end
  for _, entry in ipairs(read[1][2]) do
    add(entry[1], entry[2], 0)
  end
  if #read[1][2] < few then
    break
  end
end
if #entries == 0 then
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      return { 'new', info[i + 1], 0, entries }
    end
  end
end
return { 'new', '', 0, entries }
