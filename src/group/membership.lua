#!lua flags=allow-oom
-- Who works for a group at the moment. Every member says so from time to time and learns of the others.
--
-- KEYS[1]  the group's members (a sorted set; the score is when a member's word runs out, unix milliseconds)
-- ARGV[1]  the member's token      ARGV[2]  milliseconds its word lasts; '0' leaves the group
-- Returns the tokens of all members, in an order that is the same for everybody
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
