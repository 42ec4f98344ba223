#!lua flags=allow-oom
-- Runs one small write that must also succeed while memory is full: without it, neither the start nor the trimming that
-- frees memory could go on.
--
-- KEYS[1]  the key
-- ARGV     the command and its arguments after the key
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
