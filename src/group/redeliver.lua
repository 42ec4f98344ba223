#!lua
-- Makes acknowledged entries pending again, so that the group gets them once more. The last delivered id of the group
-- does not change. Entries that were not delivered yet, or are still pending, are skipped.
--
-- KEYS[1]  stream of events        KEYS[2]  set here, so that the member of the partition reads pending entries again
-- ARGV[1]  group                   ARGV[2]  name of the consumer in the group
-- ARGV[3…] ids of entries
-- Returns the ids that are pending again, without those that are no longer in the stream
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]

-- @include ../log/stream-functions.lua

local delivered = nil
for _, fields in ipairs(groupsOf(stream)) do
  if fields['name'] == group then
    delivered = fields['last-delivered-id']
  end
end
if not delivered then
  return redis.error_reply('NOGROUP no such consumer group')
end

local redelivered = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  if not less(delivered, id) and #redis.call('XPENDING', stream, group, id, id, 1) == 0 then
    local claimed = redis.call('XCLAIM', stream, group, consumer, 0, id, 'RETRYCOUNT', 0, 'FORCE', 'JUSTID')
    if claimed[1] then
      redelivered[#redelivered + 1] = id
    end
  end
end
if #redelivered > 0 then
  redis.call('SET', KEYS[2], '1')
end
return redelivered
