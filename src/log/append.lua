#!lua
-- Remembers event ids and appends their events, atomically: Redis runs the call before anything else, and writes it to
-- its append-only file as one transaction.
--
-- KEYS[1]  the partition's list of generations (a string)
-- KEYS[2]  stream of events          KEYS[3]  stream of parked deliveries
-- KEYS[4…] for each entry one hash per living generation, newest first: where its id is, or would be, remembered
--
-- ARGV[1]  the list of generations as the caller knows it
-- ARGV[2]  entries per stream, at most
-- ARGV[3]  '1': write the id of a duplicate again, so that WAIT and WAITAOF cover its first write too
-- ARGV[4…] for each entry: its id's digest, '2' or '3' (the KEYS index of its stream), its type, its event;
--          '0' instead of a stream only looks up whether the id is remembered
--
-- Returns {'stale', <list>}   the caller's list is not the current one; nothing was done
--         {'done', <fill>, …} for each entry 1 appended, 0 duplicate, 2 stream full (nothing was done for it),
--                             3 not remembered (only looked up);
--                             fill: ids in the hash that was last written to; shows when a generation is full
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] or current == '' then
  return { 'stale', current }
end

local maxLength = tonumber(ARGV[2])
local touch = ARGV[3] == '1'
local entries = (#ARGV - 3) / 4
local generations = (#KEYS - 3) / entries
local room = {}
local written = nil
local replies = { 'done', 0 }

local function seen(firstKey, digest)
  for i = firstKey, firstKey + generations - 1 do
    if redis.call('HEXISTS', KEYS[i], digest) == 1 then
      return KEYS[i]
    end
  end
  return nil
end

for entry = 0, entries - 1 do
  local digest, stream = ARGV[4 + entry * 4], tonumber(ARGV[5 + entry * 4])
  local newest = 4 + entry * generations
  local known = seen(newest, digest)
  local reply = 0
  if known then
    if touch then
      redis.call('HSET', known, digest, '')
    end
  elseif stream == 0 then
    reply = 3
  else
    room[stream] = room[stream] or maxLength - redis.call('XLEN', KEYS[stream])
    if room[stream] > 0 then
      written = KEYS[newest]
      redis.call('HSET', written, digest, '')
      redis.call('XADD', KEYS[stream], '*', 'type', ARGV[6 + entry * 4], 'event', ARGV[7 + entry * 4])
      room[stream] = room[stream] - 1
      reply = 1
    else
      reply = 2
    end
  end
  replies[entry + 3] = reply
end

if written then
  replies[2] = redis.call('HLEN', written)
end
return replies
