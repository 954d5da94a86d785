--#include names clock numbers elements chunks arguments missing guards order counting writing
-- Write puts into their targets, if every guard holds: publisher, its number, park, since when there are keys, guards, targets,
-- puts.
-- Gives 1, 'stale', 'gone' (what the guards are about was flushed or evicted), or what is to be told of limits: put, target, records too many (-1: refused), bytes too many.
local publisher, sequence = argument(), number()
local park, born = argument(), argument()
local sequence_key = prefix .. 'dulse.pub:' .. publisher
if publisher ~= '' and tonumber(redis.call('GET', sequence_key) or 0) + 1 ~= sequence then
  return 1
end
local holds, gone = guards_hold(born)
if gone then
  return 'gone'
end
if not holds and park == '-' then
  return 'stale'
end
local targets = read_targets()
local parking = { queue = string.sub(park, 2), level = 0, ttl = -1, delay = 0 }
local counts, bytes, over, told = {}, {}, {}, {}

-- Count a record in a queue with limits; false: it is refused.
local function fits(target, index, size, put)
  local queue = target.queue
  if not counts[queue] then
    counts[queue], bytes[queue] = count_ready(queue), bytes_ready(queue)
  end
  local count, total = counts[queue] + 1, bytes[queue] + size
  local many = target.max_count >= 0 and count > target.max_count
  local large = target.max_bytes >= 0 and total > target.max_bytes
  if target.refuses and (many or large) then
    told[#told + 1] = { put, index, -1, 0 }
    return false
  end
  if target.delay == 0 then
    counts[queue], bytes[queue] = count, total
    if many or large then
      over[queue] = { put, index }
    end
  end
  return true
end

for put = 0, number() - 1 do
  local payload, size, where = argument(), number(), argument()
  if not holds then
    add(parking, payload, size)
  else
    for word in string.gmatch(where, '%d+') do
      local index = tonumber(word)
      local target = targets[index]
      if (target.max_count < 0 and target.max_bytes < 0) or fits(target, index, size, put) then
        add(target, payload, size)
      end
    end
  end
end
write_all()
if publisher ~= '' then
  redis.call('SET', sequence_key, sequence, 'EX', 3600)
end
for queue, found in pairs(over) do
  local target = targets[found[2]]
  local count = target.max_count >= 0 and math.max(0, counts[queue] - target.max_count) or 0
  local total = target.max_bytes >= 0 and math.max(0, bytes[queue] - target.max_bytes) or 0
  told[#told + 1] = { found[1], found[2], count, total }
end
if #told == 0 then
  return 1
end
return told
