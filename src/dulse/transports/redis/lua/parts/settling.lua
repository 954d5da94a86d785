-- Read tokens (count of queues; queue, count and numbers each), delete what the owner holds of them, give what it does
-- not: queue, number, queue, number, …
local function settle_all(owner)
  local lost = {}
  for _ = 1, number() do
    local queue, count = argument(), number()
    local held = held_of(owner, queue)
    for _ = 1, count do
      local token = argument()
      if redis.call('HDEL', held, token) == 0 then
        lost[#lost + 1] = queue
        lost[#lost + 1] = token
      end
    end
  end
  return lost
end
