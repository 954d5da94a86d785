-- The priorities of a queue that may have ready records, the highest first, 0 included.
local function levels_down(queue)
  local levels = redis.call('ZREVRANGE', levels_of(queue), 0, -1)
  for index, level in ipairs(levels) do
    levels[index] = tonumber(level)
  end
  levels[#levels + 1] = 0
  return levels
end

local function count_ready(queue)
  local count = 0
  for _, level in ipairs(levels_down(queue)) do
    count = count + redis.call('LLEN', ready(queue, level))
  end
  return count
end

local function bytes_ready(queue)
  return tonumber(redis.call('GET', size_of(queue)) or 0)
end
