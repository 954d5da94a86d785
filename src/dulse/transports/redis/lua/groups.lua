--#include names clock
-- List groups: the least name, and the one behind the last, as ZRANGEBYLEX wants them. Gives the time, and each one's
-- name and revision.
local answer = { now }
for _, group in ipairs(redis.call('ZRANGEBYLEX', GROUPS, ARGV[2], ARGV[3])) do
  local revision = redis.call('HGET', group_of(group), '@')
  if revision then
    answer[#answer + 1] = group
    answer[#answer + 1] = revision
  end
end
return answer
