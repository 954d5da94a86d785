--#include names
-- Give the revisions of groups.
local answer = {}
for index = 2, #ARGV do
  answer[index - 1] = redis.call('HGET', group_of(ARGV[index]), '@') or '0'
end
return answer
