--#include names clock numbers elements chunks arguments order counting taking
-- Take and lease heads until a queue is within its limits: owner, lease (ms), queue, most records, most bytes, limit.
-- Answers as `reserve` does.
local owner, lease, queue = argument(), number(), argument()
local max_count, max_bytes, limit = number(), number(), number()
local score = redis.call('ZSCORE', OWNERS, owner)
score = score and tonumber(score)
if score == 0 then
  return false
end
local count, bytes = count_ready(queue), bytes_ready(queue)
local before, taken = bytes, {}
for _, level in ipairs(levels_in_turn(queue)) do
  while #taken < limit and ((max_count >= 0 and count > max_count) or (max_bytes >= 0 and bytes > max_bytes)) do
    local more, is_empty = pop(queue, level, 1, taken)
    if is_empty then
      break
    end
    bytes = bytes - more
    count = count - 1
  end
end
local answer = { now, score and 1 or 0, {} }
if #taken > 0 then
  redis.call('DECRBY', size_of(queue), before - bytes)
  answer[4] = { 0, lease_all(owner, queue, taken, '-'), taken }
  keep(owner, lease, score)
end
return answer
