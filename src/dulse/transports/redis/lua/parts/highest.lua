-- The priorities of a queue that may have ready records, as they are served: the highest first, 0 included.
local function levels_in_turn(queue)
  local levels = redis.call('ZREVRANGE', levels_of(queue), 0, -1)
  for index, level in ipairs(levels) do
    levels[index] = tonumber(level)
  end
  levels[#levels + 1] = 0
  return levels
end
