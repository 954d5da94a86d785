-- The priorities of a queue that may have ready records, as they are served: the lowest first, 0 included.
local function levels_in_turn(queue)
  local levels = { 0 }
  for _, level in ipairs(redis.call('ZRANGE', levels_of(queue), 0, -1)) do
    levels[#levels + 1] = tonumber(level)
  end
  return levels
end
