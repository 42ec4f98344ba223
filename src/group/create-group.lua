#!lua flags=allow-oom
-- Makes a consumer group, and the stream with it, unless they are there. A full Redis allows it: a group is what
-- lets the stream be read and trimmed.
--
-- KEYS[1]  the stream
-- ARGV[1]  group                   ARGV[2]  '0': it begins with the oldest entry; '$': with the next
-- Returns 1 when it was made, 0 when it was there
local reply = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if reply.err and not string.find(reply.err, 'BUSYGROUP', 1, true) then
  return reply
end
return reply.err and 0 or 1
