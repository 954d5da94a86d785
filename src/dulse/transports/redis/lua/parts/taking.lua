-- A take leaves its owner's time alone while a twentieth of it, or less than 250 ms, have passed.
local function keep(owner, lease, score)
  local expires = now + lease
  if not score or score < expires - math.min(lease / 20, 250) then
    redis.call('ZADD', OWNERS, expires, owner)
  end
end

-- Note elements of one queue, which were popped, as its owner's; gives the number before their tokens' numbers.
local function lease_all(owner, queue, elements, mark)
  local held = held_of(owner, queue)
  if redis.call('EXISTS', held) == 0 then
    redis.call('SADD', holds_of(owner), queue)
    redis.call('SADD', holders_of(queue), owner)
  end
  local first = numbers(#elements)
  local words = {}
  for index, element in ipairs(elements) do
    words[2 * index - 1] = mark .. string.format('%.0f', first + index)
    words[2 * index] = element
  end
  call_with('HSET', held, words)
  return first
end

-- Pop up to `count` of one priority onto `taken`; gives their bytes, and whether the list is empty now.
local function pop(queue, level, count, taken)
  local bytes = 0
  while count > 0 do
    local asked = math.min(count, 1000)
    local elements = redis.call('RPOP', ready(queue, level), asked)
    if not elements then
      return bytes, true
    end
    for _, element in ipairs(elements) do
      element = adopted(element, level)
      bytes = bytes + size_in(element)
      taken[#taken + 1] = element
    end
    if #elements < asked then
      return bytes, true
    end
    count = count - asked
  end
  return bytes, false
end

-- The bytes of what was taken go; where nothing is left the count begins anew.
local function shrink(queue, bytes, is_empty)
  if is_empty then
    redis.call('DEL', size_of(queue))
  else
    redis.call('DECRBY', size_of(queue), bytes)
  end
end
