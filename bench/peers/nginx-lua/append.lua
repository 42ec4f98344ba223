-- The Redis script: remembers the id and appends the event atomically. Returns 1 appended, 0 duplicate.
return [[
if redis.call('SET', KEYS[1], '', 'NX', 'EX', 691200) then
  redis.call('XADD', KEYS[2], '*', 'type', ARGV[1], 'event', ARGV[2])
  return 1
end
return 0
]]
