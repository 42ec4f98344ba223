-- Adds the counts of one process, once: a call whose reply was lost is repeated with the same number.
-- KEYS[1] the process's key, KEYS[2] the hash of last deliveries, KEYS[3...] hashes of counts
-- ARGV[1] number of this call, ARGV[2] expiry in seconds, ARGV[3] JSON: { last: { source: { at, ... } }, counts: [[field, count, ...], ...] }
local number = tonumber(ARGV[1])
if number <= (tonumber(redis.call('GET', KEYS[1])) or 0) then return 0 end
local input = cjson.decode(ARGV[3])
for index, counts in ipairs(input.counts) do
  local key = KEYS[2 + index]
  for field = 1, #counts, 2 do redis.call('HINCRBY', key, counts[field], counts[field + 1]) end
  redis.call('EXPIRE', key, ARGV[2])
end
for source, text in pairs(input.last) do
  local known = redis.call('HGET', KEYS[2], source)
  if not known or cjson.decode(known).at <= cjson.decode(text).at then
    redis.call('HSET', KEYS[2], source, text)
  end
end
redis.call('SET', KEYS[1], number, 'EX', ARGV[2])
return 1
