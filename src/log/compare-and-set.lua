#!lua flags=allow-oom
-- Writes ARGV[2] to KEYS[1] if its value is still ARGV[1] ('': no value). Returns the value afterwards.
-- Allowed while memory is full: removing an expired generation from the list frees memory.
local current = redis.call('GET', KEYS[1]) or ''
if current == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
  return ARGV[2]
end
return current
