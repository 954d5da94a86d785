--#include names clock arguments
-- Read groups: count of whole ones, their names; count of others, each with a count of fields and these.
-- Gives the time, and for each its revision and its fields and values.
local answer = { now }
for _ = 1, number() do
  local key = group_of(argument())
  local revision = redis.call('HGET', key, '@') or '0'
  answer[#answer + 1] = revision
  answer[#answer + 1] = redis.call('HGETALL', key)
end
for _ = 1, number() do
  local key = group_of(argument())
  answer[#answer + 1] = redis.call('HGET', key, '@') or '0'
  local values = {}
  for _ = 1, number() do
    local field = argument()
    local value = redis.call('HGET', key, field)
    if value then
      values[#values + 1] = field
      values[#values + 1] = value
    end
  end
  answer[#answer + 1] = values
end
return answer
