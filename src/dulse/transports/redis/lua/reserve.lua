--#include names clock numbers elements chunks arguments settling taking order
-- Settle, then take and lease: owner, lease (ms), tokens, count of wants, queue and number each.
-- Gives the time, whether the owner was known, what was not settled, and for each queue its index among the wants, the
-- number before the first token's, and the elements; or nothing for an owner that was declared dead.
local owner, lease = argument(), number()
local score = redis.call('ZSCORE', OWNERS, owner)
score = score and tonumber(score)
if score == 0 then
  return false
end
local answer = { now, score and 1 or 0, settle_all(owner) }
local wants = number()
local queues, level_keys = {}, {}
for index = 1, wants do
  queues[index] = { argument(), number() }
  level_keys[index] = levels_of(queues[index][1])
end
local has_levels = wants == 1 or wants > 4000 or wants > 0 and redis.call('EXISTS', unpack(level_keys)) > 0
local only = { 0 }
local took = false
for index, want in ipairs(queues) do
  local queue, left = want[1], want[2]
  local taken, bytes, are_others = {}, 0, false
  for _, level in ipairs(has_levels and left > 0 and levels_in_turn(queue) or only) do
    if left == 0 then
      are_others = true
      break
    end
    local before = #taken
    local more, is_empty = pop(queue, level, left, taken)
    bytes = bytes + more
    left = left - (#taken - before)
    if not is_empty then
      are_others = true
    elseif level > 0 then
      redis.call('ZREM', level_keys[index], level)
    end
  end
  if #taken > 0 then
    took = true
    shrink(queue, bytes, not are_others)
    answer[#answer + 1] = { index - 1, lease_all(owner, queue, taken, ''), taken }
  end
end
if took then
  keep(owner, lease, score)
end
return answer
