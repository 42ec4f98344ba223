#!lua flags=allow-oom
-- Creates a consumer group, and its stream, unless they exist. Allowed while memory is full: without its group,
-- a consumer cannot make entries trimmable.
--
-- KEYS[1]  the stream
-- ARGV[1]  group                   ARGV[2]  '0': it starts with the oldest entry; '$': with the next
-- Returns 1 if it was created, 0 if it existed
local reply = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if reply.err and not string.find(reply.err, 'BUSYGROUP', 1, true) then
  return reply
end
return reply.err and 0 or 1
