#!lua flags=allow-oom
-- Takes, keeps or gives back the right to work a partition for a group. A full Redis allows it: whoever reads
-- is the one that makes room.
--
-- KEYS[1]  the lease
-- ARGV[1]  the member's token      ARGV[2]  milliseconds it lasts; '0' gives it back
-- Returns 1 when the member holds the lease afterwards, else 0
local holder = redis.call('GET', KEYS[1])
if ARGV[2] == '0' then
  if holder == ARGV[1] then
    redis.call('DEL', KEYS[1])
  end
  return 0
end
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
