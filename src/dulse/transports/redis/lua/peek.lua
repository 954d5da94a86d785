--#include names clock elements order counting
-- Look at what comes next: queue, count. Gives the time and the elements.
local queue, left = ARGV[2], tonumber(ARGV[3])
local found = {}
for _, level in ipairs(levels_in_turn(queue)) do
  if left > 0 then
    local elements = redis.call('LRANGE', ready(queue, level), -left, -1)
    left = left - #elements
    for index = #elements, 1, -1 do
      found[#found + 1] = adopted(elements[index], level)
    end
  end
end
return { now, found }
