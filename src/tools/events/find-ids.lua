#!lua flags=no-writes
-- Looks up event ids in a partition's dedupe index.
--
-- KEYS[1]  the partition's list of generations   KEYS[2]  its stream of events
-- KEYS[3…] for each digest one hash per living generation, newest first
-- ARGV[1]  the list of generations as the caller knows it
-- ARGV[2…] the digests
--
-- Returns {'stale', <list>}   the caller's list is not the current one
--         {'done', <id of the stream's oldest entry, or ''>, <keys that this server has evicted>, …} and for each digest
--         and generation 1: remembered, 0: not remembered, 2: the hash does not exist
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then
  return { 'stale', current }
end

local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local evicted = string.match(redis.call('INFO', 'stats'), '\nevicted_keys:(%d+)') or ''
local replies = { 'done', first and first[1] or '', evicted }
local generations = (#KEYS - 2) / math.max(1, #ARGV - 1)
for i = 3, #KEYS do
  local digest = ARGV[2 + math.floor((i - 3) / generations)]
  if redis.call('HEXISTS', KEYS[i], digest) == 1 then
    replies[i + 1] = 1
  else
    replies[i + 1] = redis.call('EXISTS', KEYS[i]) == 1 and 0 or 2
  end
end
return replies
