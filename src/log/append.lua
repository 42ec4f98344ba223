#!lua
-- Remembers event ids and appends their events, atomically: Redis runs the call before anything else, and writes it to
-- its append-only file as one transaction.
--
-- KEYS[1]  the partition's list of generations (a string)
-- KEYS[2]  stream of events          KEYS[3]  stream of parked deliveries
-- With a message index only:
-- KEYS[4]  its list of generations
-- KEYS[5]  the metrics that `reconcile` appended, and their times (a hash)
--
-- Then, for each entry, one hash per living generation, newest first: where its id is, or would be, remembered. If it has
-- a metric, the newest one of the message index follows, or all of them if `reconcile` appends it.
--
-- ARGV[1]  the list of generations as the caller knows it
-- ARGV[2]  entries per stream, at most
-- ARGV[3]  '1': write the id of a duplicate again, so that WAIT and WAITAOF cover its first write too
-- ARGV[4…] for each entry: its mark, its type, its event
-- ARGV[#ARGV], with a message index only: the list of its generations as the caller knows it
--
-- A mark is one argument, because each costs time in the caller and here. By position:
--   1-12   digest of the id
--   13     '2' or '3', the KEYS index of the stream; '0' only looks up whether the id is remembered
--   14-25  digest of the metric, if the entry has one
--   26     ':' for a delivery, '=' for an event that `reconcile` appends
--   27…    time of the metric, in Unix seconds
--
-- A delivery with the metric and the time of an event that `reconcile` appended is the original that came late, and a
-- duplicate. This is remembered for as long as Customer.io retries, and a day more.
--
-- Returns {'stale', <list>, <list of the message index>}   the caller's lists are not the current ones; nothing was done
--         {'done', <fill>, <fill>, …} for each entry 1 appended, 0 duplicate, 2 stream full (nothing was done for it),
--                                     3 not remembered (only looked up);
--                             fill: ids in the hash that was last written to, in the dedupe index and in the message
--                             index; shows when a generation is full
local entries = math.floor((#ARGV - 3) / 3)
local knownMessages = ARGV[4 + entries * 3]
local usesMessages = knownMessages ~= nil
local current = redis.call('GET', KEYS[1]) or ''
local currentMessages = usesMessages and redis.call('GET', KEYS[4]) or ''
if current ~= ARGV[1] or current == '' or (usesMessages and (currentMessages ~= knownMessages or currentMessages == '')) then
  return { 'stale', current, currentMessages }
end

local function count(list)
  local _, spaces = string.gsub(list, ' ', ' ')
  return spaces + 1
end

local FILLED_SECONDS = 8 * 24 * 3600
local ZERO, BACKFILL = string.byte('0'), string.byte('=')
local maxLength = tonumber(ARGV[2])
local touch = ARGV[3] == '1'
local generations = count(current)
local messageGenerations = usesMessages and count(currentMessages) or 0
local room = {}
local written = nil
local writtenMetric = nil
local replies = { 'done', 0, 0 }
local hasFilled = usesMessages and redis.call('EXISTS', KEYS[5]) == 1

local function seen(firstKey, digest)
  for i = firstKey, firstKey + generations - 1 do
    if redis.call('HEXISTS', KEYS[i], digest) == 1 then
      return KEYS[i]
    end
  end
  return nil
end

local function recorded(firstKey, metric)
  for i = firstKey, firstKey + messageGenerations - 1 do
    if redis.call('HEXISTS', KEYS[i], metric) == 1 then
      return true
    end
  end
  return false
end

local key = usesMessages and 6 or 4
for entry = 0, entries - 1 do
  local first = 4 + entry * 3
  local mark = ARGV[first]
  local digest, stream = string.sub(mark, 1, 12), string.byte(mark, 13) - ZERO
  local metric = #mark > 13 and string.sub(mark, 14, 25)
  local backfills = metric and string.byte(mark, 26) == BACKFILL
  local newest = key
  local newestMetric = newest + generations
  key = newestMetric + (backfills and messageGenerations or metric and 1 or 0)
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
    if backfills and recorded(newestMetric, metric) then
      reply = 0
    elseif hasFilled and metric and redis.call('HGET', KEYS[5], metric) == string.sub(mark, 27) then
      written = KEYS[newest]
      redis.call('HSET', written, digest, '')
      redis.call('HDEL', KEYS[5], metric)
    elseif room[stream] > 0 then
      written = KEYS[newest]
      redis.call('HSET', written, digest, '')
      -- Redis undoes nothing when a script fails, as where the user may not run XADD. An id that stays remembered without
      -- its event would make the retry a duplicate, and the event would be lost.
      local added = redis.pcall('XADD', KEYS[stream], '*', 'type', ARGV[first + 1], 'event', ARGV[first + 2])
      if type(added) == 'table' then
        redis.call('HDEL', written, digest)
        return added
      end
      if metric then
        writtenMetric = KEYS[newestMetric]
        redis.call('HSET', writtenMetric, metric, '')
      end
      if backfills then
        redis.call('HSET', KEYS[5], metric, string.sub(mark, 27))
        redis.call('EXPIRE', KEYS[5], FILLED_SECONDS)
        hasFilled = true
      end
      room[stream] = room[stream] - 1
      reply = 1
    else
      reply = 2
    end
  end
  replies[entry + 4] = reply
end

if written then
  replies[2] = redis.call('HLEN', written)
end
if writtenMetric then
  replies[3] = redis.call('HLEN', writtenMetric)
end
return replies
