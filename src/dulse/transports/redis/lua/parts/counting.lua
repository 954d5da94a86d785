local function count_ready(queue)
  local count = 0
  for _, level in ipairs(levels_in_turn(queue)) do
    count = count + redis.call('LLEN', ready(queue, level))
  end
  return count
end

local function bytes_ready(queue)
  return tonumber(redis.call('GET', size_of(queue)) or 0)
end
