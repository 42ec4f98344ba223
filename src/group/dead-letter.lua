#!lua flags=allow-oom
-- Appends a dead letter. A full Redis allows it: until it is set aside, the entry keeps its stream from being
-- trimmed, and it is no larger than that.
--
-- KEYS[1]  stream of dead letters  ARGV  fields and values in turn
return redis.call('XADD', KEYS[1], '*', unpack(ARGV))
