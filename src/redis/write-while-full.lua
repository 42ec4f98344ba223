#!lua flags=allow-oom
-- Runs one small write, which memory that is full must not prevent: a start, the trimming that frees memory, and what an
-- operator does against the shortage depend on it.
--
-- KEYS[1]  the key
-- ARGV     the command and its arguments after the key
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
