--#include names clock numbers elements chunks arguments missing guards writing
-- Settle taken records and put others in their place: owner, guards, targets, count of moves; of each: queue, number,
-- count of puts; of each: payload, size, targets. Gives the tokens that were not the owner's, or 'stale'.
local owner = argument()
if not guards_hold() then
  return 'stale'
end
local targets = read_targets()
local lost = {}
for _ = 1, number() do
  local queue, token = argument(), argument()
  local is_ours = redis.call('HDEL', held_of(owner, queue), token) == 1
  if not is_ours then
    lost[#lost + 1] = queue
    lost[#lost + 1] = token
  end
  for _ = 1, number() do
    local payload, size, where = argument(), number(), argument()
    if is_ours then
      for word in string.gmatch(where, '%d+') do
        add(targets[tonumber(word)], payload, size)
      end
    end
  end
end
write_all()
return lost
