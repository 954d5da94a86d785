--#include names
-- Name all that an owner holds: queue, numbers, queue, numbers, …
local found = {}
for _, queue in ipairs(redis.call('SMEMBERS', holds_of(ARGV[2]))) do
  found[#found + 1] = queue
  found[#found + 1] = redis.call('HKEYS', held_of(ARGV[2], queue))
end
return found
