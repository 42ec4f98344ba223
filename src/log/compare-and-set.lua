#!lua flags=allow-oom
-- Compare and set: writes ARGV[2] to KEYS[1] if it still holds ARGV[1] ('' where there is none).
-- Returns what KEYS[1] holds afterwards. Where memory is full, taking a dead generation off the list makes room.
local current = redis.call('GET', KEYS[1]) or ''
if current == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
  return ARGV[2]
end
return current
