--#include names clock numbers elements chunks arguments order counting taking expiring
-- Take and lease heads that have outlived their time: owner, lease (ms), queue, count. Answers as `reserve` does.
local owner, lease, queue, count = argument(), number(), argument(), number()
local score = redis.call('ZSCORE', OWNERS, owner)
score = score and tonumber(score)
if score == 0 then
  return false
end
local taken, bytes = {}, 0
for _, level in ipairs(levels_in_turn(queue)) do
  local key = ready(queue, level)
  while #taken < count do
    local head = redis.call('LINDEX', key, -1)
    local stop = head and end_of(head)
    if not stop or stop >= now then
      break
    end
    redis.call('RPOP', key)
    bytes = bytes + size_in(head)
    taken[#taken + 1] = head
  end
end
local answer = { now, score and 1 or 0, {} }
if #taken > 0 then
  redis.call('DECRBY', size_of(queue), bytes)
  answer[4] = { 0, lease_all(owner, queue, taken, '-'), taken }
  keep(owner, lease, score)
  look_again(queue)
end
return answer
