#!lua
-- Puts entries that a group has acknowledged back among those it has not, so that it gets them once more. The
-- position of the group stays where it is; what it has not been handed yet, or not acknowledged, is left alone.
--
-- KEYS[1]  stream of events        KEYS[2]  tells whoever works the partition that there is something to take again
-- ARGV[1]  group                   ARGV[2]  the name in the group they are put under
-- ARGV[3…] ids of entries
-- Returns the ids that were put back; those that are no longer in the stream are not among them
local stream, group, member = KEYS[1], ARGV[1], ARGV[2]

local function less(a, b)
  local aMs, aSeq = string.match(a, '^(%d+)-(%d+)$')
  local bMs, bSeq = string.match(b, '^(%d+)-(%d+)$')
  aMs, aSeq, bMs, bSeq = tonumber(aMs), tonumber(aSeq), tonumber(bMs), tonumber(bSeq)
  return aMs < bMs or (aMs == bMs and aSeq < bSeq)
end

local delivered = nil
if redis.call('EXISTS', stream) == 1 then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local fields = {}
    for i = 1, #info, 2 do
      fields[info[i]] = info[i + 1]
    end
    if fields['name'] == group then
      delivered = fields['last-delivered-id']
    end
  end
end
if not delivered then
  return redis.error_reply('NOGROUP no such consumer group')
end

local back = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  if not less(delivered, id) and #redis.call('XPENDING', stream, group, id, id, 1) == 0 then
    local claimed = redis.call('XCLAIM', stream, group, member, 0, id, 'RETRYCOUNT', 0, 'FORCE', 'JUSTID')
    if claimed[1] then
      back[#back + 1] = id
    end
  end
end
if #back > 0 then
  redis.call('SET', KEYS[2], '1')
end
return back
