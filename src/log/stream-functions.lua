-- Whether the entry id a is smaller than b.
local function less(a, b)
  local aMs, aSeq = string.match(a, '^(%d+)-(%d+)$')
  local bMs, bSeq = string.match(b, '^(%d+)-(%d+)$')
  aMs, aSeq, bMs, bSeq = tonumber(aMs), tonumber(aSeq), tonumber(bMs), tonumber(bSeq)
  return aMs < bMs or (aMs == bMs and aSeq < bSeq)
end

-- The consumer groups of a stream, as tables; none if the stream does not exist.
local function groupsOf(stream)
  local groups = {}
  if redis.call('EXISTS', stream) == 1 then
    for number, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      groups[number] = {}
      for i = 1, #flat, 2 do
        groups[number][flat[i]] = flat[i + 1]
      end
    end
  end
  return groups
end
