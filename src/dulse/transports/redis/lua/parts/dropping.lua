-- Delete the ready records of a queue; gives their number.
local function clear(queue)
  local count = 0
  for _, level in ipairs(levels_in_turn(queue)) do
    local key = ready(queue, level)
    count = count + redis.call('LLEN', key)
    redis.call('UNLINK', key)
  end
  redis.call('DEL', levels_of(queue), size_of(queue))
  redis.call('ZREM', EXPIRING, queue)
  return count
end

-- Delete all records of a queue.
local function drop(queue)
  clear(queue)
  redis.call('UNLINK', delayed_of(queue))
  redis.call('ZREM', DUE, queue)
  for _, owner in ipairs(redis.call('SMEMBERS', holders_of(queue))) do
    redis.call('UNLINK', held_of(owner, queue))
    redis.call('SREM', holds_of(owner), queue)
  end
  redis.call('DEL', holders_of(queue))
end
