#!lua flags=no-writes
-- Returns the clock of the server that holds KEYS[1]: {unix seconds, microseconds}.
return redis.call('TIME')
