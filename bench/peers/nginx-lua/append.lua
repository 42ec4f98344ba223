-- The script that Redis runs: remember and append in one act. Returns 1 appended, 0 seen before.
return [[
if redis.call('SET', KEYS[1], '', 'NX', 'EX', 691200) then
  redis.call('XADD', KEYS[2], '*', 'type', ARGV[1], 'event', ARGV[2])
  return 1
end
return 0
]]
