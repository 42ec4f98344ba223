#!lua flags=allow-oom
-- Reads for a group, if the reader still holds the partition's lease: one act, so that a member that lost its
-- lease without knowing can't take an entry from the one that has it now. A full Redis allows it: whoever reads
-- is the one that makes room.
--
-- KEYS[1]  the lease               KEYS[2]  stream of events
-- KEYS[3]  set where entries were put back among those left unacknowledged: see put-back.lua
-- ARGV[1]  the member's token      ARGV[2]  group
-- ARGV[3]  the name in the group under which entries are handed out
-- ARGV[4]  how many entries at most
-- ARGV[5]  '' for new entries; else for those that anybody left unacknowledged, after this id ('0-0': all)
--
-- Returns {'lost'}                           the lease is somebody else's, or nobody's; nothing was done
--         {'again'}                          there are entries left again: begin with them; nothing was taken
--         {'left', <id>, <gone>, {entry…}}   what was left; go on after <id>, '' where that was all;
--                                            gone: entries that are no longer in the stream
--         {'new',  <id>, 0, {entry…}}        what is new; where there is nothing, <id> is the stream's last
-- An entry is {id, {field, value, …}, times it was delivered before}.
local stream, group, member = KEYS[2], ARGV[2], ARGV[3]

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'lost' }
end
if ARGV[5] == '' and redis.call('DEL', KEYS[3]) == 1 then
  return { 'again' }
end

-- A group that is missing was lost with its Redis: all that is in the stream now has come since.
local function call(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    reply = redis.pcall(...)
  end
  if type(reply) == 'table' and reply.err then
    return nil, reply
  end
  return reply
end

local entries = {}

if ARGV[5] ~= '' then
  local start = ARGV[5] == '0-0' and '-' or '(' .. ARGV[5]
  local left, failed = call('XPENDING', stream, group, start, '+', ARGV[4])
  if failed then
    return failed
  end
  local last, gone = '', 0
  for _, pending in ipairs(left) do
    last = pending[1]
    -- With the count it has: taking over is no try.
    local claimed =
      redis.call('XCLAIM', stream, group, member, 0, last, 'RETRYCOUNT', string.format('%.0f', pending[4]))
    if claimed[1] then
      entries[#entries + 1] = { last, claimed[1][2], pending[4] }
    else
      gone = gone + 1
    end
  end
  return { 'left', #left < tonumber(ARGV[4]) and '' or last, gone, entries }
end

local read, failed = call('XREADGROUP', 'GROUP', group, member, 'COUNT', ARGV[4], 'STREAMS', stream, '>')
if failed then
  return failed
end
if not read then
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      return { 'new', info[i + 1], 0, entries }
    end
  end
end
for _, entry in ipairs(read[1][2]) do
  entries[#entries + 1] = { entry[1], entry[2], 0 }
end
return { 'new', '', 0, entries }
