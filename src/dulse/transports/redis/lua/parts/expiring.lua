-- Note when a head of a queue outlives its time next. Gives whether one has by now.
-- Behind a head that lives on, others wait for their turn: such queues are looked at every second.
local function look_again(queue)
  local soonest
  for _, level in ipairs(levels_in_turn(queue)) do
    local head = redis.call('LINDEX', ready(queue, level), -1)
    if head then
      local stop = end_of(head) or now + 1000
      soonest = math.min(soonest or stop, stop)
    end
  end
  if not soonest then
    redis.call('ZREM', EXPIRING, queue)
    return false
  end
  redis.call('ZADD', EXPIRING, soonest, queue)
  return soonest < now
end
