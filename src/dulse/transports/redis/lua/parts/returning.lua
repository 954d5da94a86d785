-- Put elements of one queue back to their places: the head of a list is its right end, and what came first is there.
-- No more than 1000 others make way for it.
local function put_back_into(queue, level, elements)
  local key = ready(queue, level)
  local newest = 0
  for _, element in ipairs(elements) do
    newest = math.max(newest, order_in(element))
  end
  for _ = 1, 1000 do
    local head = redis.call('LINDEX', key, -1)
    if not head or not is_ours(head) or order_in(head) >= newest then
      break
    end
    elements[#elements + 1] = head
    redis.call('RPOP', key)
  end
  local orders = {}
  for _, element in ipairs(elements) do
    orders[element] = order_in(element)
  end
  table.sort(elements, function(one, other) return orders[one] > orders[other] end)
  call_with('RPUSH', key, elements)
  if level > 0 then
    redis.call('ZADD', levels_of(queue), level, level)
  end
end

local function put_back(queue, elements)
  local levels, bytes, soonest = {}, 0, nil
  for _, element in ipairs(elements) do
    local level = string.byte(element, 2)
    levels[level] = levels[level] or {}
    table.insert(levels[level], element)
    bytes = bytes + size_in(element)
    local stop = end_of(element)
    if stop and (not soonest or stop < soonest) then
      soonest = stop
    end
  end
  for level, found in pairs(levels) do
    put_back_into(queue, level, found)
  end
  redis.call('INCRBY', size_of(queue), bytes)
  if soonest then
    redis.call('ZADD', EXPIRING, 'LT', soonest, queue)
  end
end

-- As it is to be put back: delivered once more, unless its token says that it was never meant to be.
local function as_returned(element, token)
  if string.byte(token) == 45 then
    return element
  end
  return delivered_once_more(element)
end
