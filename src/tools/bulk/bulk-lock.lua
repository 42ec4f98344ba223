-- Renews or releases the lock of a bulk action, only while it is its own: after an outage another one may have it.
--
-- KEYS[1]  the lock    ARGV[1]  id of the bulk action    ARGV[2]  milliseconds until it expires; 0 releases it
-- Returns its value before: the id, `stop` if somebody interrupts it, or another id
local value = redis.call('GET', KEYS[1]) or ''
if ARGV[2] == '0' then
  if value == ARGV[1] or value == 'stop' then
    redis.call('DEL', KEYS[1])
  end
elseif value == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return value
