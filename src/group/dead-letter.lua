#!lua flags=allow-oom
-- Appends a dead letter. Allowed while memory is full: the entry itself cannot be trimmed before it is a dead letter,
-- and the dead letter is no larger.
--
-- KEYS[1]  stream of dead letters  ARGV  fields and values in turn
return redis.call('XADD', KEYS[1], '*', unpack(ARGV))
