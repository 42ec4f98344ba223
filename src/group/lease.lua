#!lua flags=allow-oom
-- Acquires, renews or releases the lease of a partition for a group. Allowed while memory is full: consumers make
-- entries trimmable.
--
-- KEYS[1]  the lease
-- ARGV[1]  the member's token      ARGV[2]  duration in milliseconds; '0' releases it
-- Returns 1 if the member holds the lease afterwards, else 0
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
