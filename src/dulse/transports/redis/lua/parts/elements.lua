-- An element of a list: mark, priority, size, deliveries, order, since (ms), time to live (ms; -1: none), payload.
-- The mark of what nobody of ours wrote is another one: it is given a head when it is taken.
local HEAD = '>BBI4I4ddd'
local LENGTH = 34
local OURS = 209
local FOREIGN = 210

local function sealed(level, size, order, since, ttl, payload)
  return struct.pack(HEAD, OURS, level, size, 0, order, since, ttl) .. payload
end

local function is_ours(element)
  local mark = string.byte(element)
  return (mark == OURS or mark == FOREIGN) and #element >= LENGTH
end

local function adopted(element, level)
  if is_ours(element) then
    return element
  end
  return struct.pack(HEAD, FOREIGN, level, 0, 0, 1, now, -1) .. element
end

local function size_in(element)
  return (struct.unpack('>I4', element, 3))
end

local function order_in(element)
  return (struct.unpack('>d', element, 11))
end

-- When an element's time to live is over; nil: never.
local function end_of(element)
  if not is_ours(element) then
    return nil
  end
  local since, ttl = struct.unpack('>dd', element, 19)
  if ttl < 0 then
    return nil
  end
  return since + ttl
end

local function delivered_once_more(element)
  local deliveries = struct.unpack('>I4', element, 7)
  return string.sub(element, 1, 6) .. struct.pack('>I4', deliveries + 1) .. string.sub(element, 11)
end
