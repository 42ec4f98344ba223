#!lua flags=no-writes
-- The clock of the server that holds KEYS[1], as {unix seconds, microseconds}.
return redis.call('TIME')
