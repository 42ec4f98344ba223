#!lua flags=allow-oom
-- The running members of a group. Each member calls this regularly, and gets the list of all.
--
-- KEYS[1]  the group's members (a sorted set; the score is when a member expires, unix milliseconds)
-- ARGV[1]  the member's token      ARGV[2]  milliseconds until it expires; '0' leaves the group
-- Returns the tokens of all members, in the same order for every member
local now = redis.call('TIME')
local nowMs = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], string.format('%.0f', nowMs + tonumber(ARGV[2])), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', nowMs))
local members = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(members)
return members
