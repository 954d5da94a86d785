--#include names clock numbers elements chunks order counting returning expiring
-- Make delayed records ready: limit. Gives the queues that got some, those with expired heads, and the milliseconds
-- until there is more of either kind.
local left = tonumber(ARGV[2])
local promoted, expired = {}, {}

local function promote(queue)
  local elements = redis.call('ZRANGEBYSCORE', delayed_of(queue), '-inf', now, 'LIMIT', 0, left)
  if #elements == 0 then
    return
  end
  left = left - #elements
  promoted[#promoted + 1] = queue
  call_with('ZREM', delayed_of(queue), elements)
  local new = numbers(#elements)
  local returned = {}
  for _, element in ipairs(elements) do
    element = string.sub(element, 9)
    if order_in(element) < 0 then
      new = new + 1
      element = string.sub(element, 1, 10) .. struct.pack('>dd', new, now) .. string.sub(element, 27)
    end
    returned[#returned + 1] = element
  end
  put_back(queue, returned)
end

for _, queue in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, 1000)) do
  if left > 0 then
    promote(queue)
    local next_one = redis.call('ZRANGE', delayed_of(queue), 0, 0, 'WITHSCORES')
    if next_one[2] then
      redis.call('ZADD', DUE, next_one[2], queue)
    else
      redis.call('ZREM', DUE, queue)
    end
  end
end
for _, queue in ipairs(redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', '(' .. now, 'LIMIT', 0, 1000)) do
  if look_again(queue) then
    expired[#expired + 1] = queue
  end
end
local due = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
local ends = redis.call('ZRANGEBYSCORE', EXPIRING, now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
local next_due = -1
if due then
  next_due = math.max(0, tonumber(due) - now)
end
if ends then
  local wait = math.max(1, tonumber(ends) - now)
  next_due = next_due < 0 and wait or math.min(next_due, wait)
end
return { promoted, expired, next_due }
