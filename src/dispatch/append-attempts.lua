-- Appends attempts to the log of attempts of one consumer. Refused while memory is full.
--
-- KEYS[1]  the stream
-- ARGV[1]  its length, about
-- then, for each group of attempts: the number of events, attempt, time (unix ms), outcome, answer, duration (ms), and
-- the id of each event
local next = 2
while next <= #ARGV do
  local events = tonumber(ARGV[next])
  for id = next + 6, next + 5 + events do
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[id], 'attempt', ARGV[next + 1],
      'time', ARGV[next + 2], 'outcome', ARGV[next + 3], 'answer', ARGV[next + 4], 'ms', ARGV[next + 5])
  end
  next = next + 6 + events
end
