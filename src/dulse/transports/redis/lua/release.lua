--#include names clock elements chunks arguments returning
-- Put taken records back: owner, delay (ms), whether it counts as a delivery, tokens. Gives those not the owner's.
local owner, delay, counted = argument(), number(), argument() == '1'
local lost = {}
for _ = 1, number() do
  local queue, count = argument(), number()
  local held = held_of(owner, queue)
  local elements = {}
  for _ = 1, count do
    local token = argument()
    local element = redis.call('HGET', held, token)
    if element then
      redis.call('HDEL', held, token)
      elements[#elements + 1] = counted and as_returned(element, token) or element
    else
      lost[#lost + 1] = queue
      lost[#lost + 1] = token
    end
  end
  if #elements > 0 and delay > 0 then
    for _, element in ipairs(elements) do
      redis.call('ZADD', delayed_of(queue), now + delay, struct.pack('>d', order_in(element)) .. element)
    end
    redis.call('ZADD', DUE, 'LT', now + delay, queue)
  elseif #elements > 0 then
    put_back(queue, elements)
  end
end
return lost
