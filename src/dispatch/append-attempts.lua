-- Appends entries to the log of attempts of one consumer, and trims the oldest ones. Refused while memory is full.
--
-- An entry has the fields `total`: the number of attempts up to its end, since the stream began; `small`: the number of
-- small entries in a row that end with it; `attempts`: a line per attempt.
--
-- KEYS[1]  the stream
-- ARGV[1]  attempts that are kept, about
-- then, for each entry: the number of its attempts, and their lines
local key, length = KEYS[1], tonumber(ARGV[1])
-- Small entries are joined: reading costs the more, the more entries there are.
local SMALL_ATTEMPTS = 20
local JOINED_ENTRIES = 50
-- Redis is blocked meanwhile. What is left is trimmed by the next calls.
local MAX_TRIMMED_ENTRIES = 200

-- nil: an entry of version 0.1, which has one attempt
local function totalOf(entry)
  return entry[2][1] == 'total' and tonumber(entry[2][2]) or nil
end

local function append(total, small, lines)
  redis.call('XADD', key, '*', 'total', string.format('%.0f', total), 'small', small, 'attempts', lines)
end

local function joinNewest(total)
  local ids, texts = {}, {}
  for i, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', JOINED_ENTRIES)) do
    ids[i] = entry[1]
    table.insert(texts, 1, entry[2][6])
  end
  redis.call('XDEL', key, unpack(ids))
  append(total, 0, table.concat(texts))
end

local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
local total = last and totalOf(last) or redis.call('XLEN', key)
local small = last and totalOf(last) and tonumber(last[2][4]) or 0
local appended = 0
for i = 2, #ARGV, 2 do
  local count = tonumber(ARGV[i])
  total, appended = total + count, appended + count
  small = count < SMALL_ATTEMPTS and small + 1 or 0
  append(total, small, ARGV[i + 1])
  if small == JOINED_ENTRIES then
    joinNewest(total)
    small = 0
  end
end

local excess = total - length
local mayReplace = math.min(appended, excess)
local kept = '-'
for trimmed = 1, math.min(excess, MAX_TRIMMED_ENTRIES) do
  local entry = redis.call('XRANGE', key, kept, '+', 'COUNT', 1)[1]
  local upTo = totalOf(entry)
  -- Entries of version 0.1 are replaced one for one: how many attempts were before them is not known.
  if upTo and upTo > excess or not upTo and trimmed > mayReplace then
    break
  end
  kept = '(' .. entry[1]
end
if kept ~= '-' then
  redis.call('XTRIM', key, 'MINID', redis.call('XRANGE', key, kept, '+', 'COUNT', 1)[1][1])
end
