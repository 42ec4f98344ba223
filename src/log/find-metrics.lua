#!lua flags=no-writes
-- Looks up metrics in the message index of a partition.
--
-- KEYS[1]  its list of generations
-- KEYS[2…] for each metric one hash per living generation
-- ARGV[1]  the list as the caller knows it      ARGV[2…] the digests
--
-- Returns {'stale', <list>}  the caller's list is not the current one
--         {'done', …}        for each digest 1 if it is there, else 0
local current = redis.call('GET', KEYS[1]) or ''
if current ~= ARGV[1] then
  return { 'stale', current }
end
local generations = (#KEYS - 1) / (#ARGV - 1)
local replies = { 'done' }
for metric = 2, #ARGV do
  local first = 2 + (metric - 2) * generations
  replies[metric] = 0
  for i = first, first + generations - 1 do
    if redis.call('HEXISTS', KEYS[i], ARGV[metric]) == 1 then
      replies[metric] = 1
      break
    end
  end
end
return replies
