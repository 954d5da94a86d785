--#include names clock numbers journal
-- Give groups new revisions, and have all shards told: these. Whoever relied on the old ones decides anew.
local told = {}
for index = 2, #ARGV do
  local key = group_of(ARGV[index])
  local revision = '0'
  if redis.call('HEXISTS', key, '@') == 1 then
    revision = string.format('%.0f:%.0f', numbers(1) + 1, now)
    redis.call('HSET', key, '@', revision)
  end
  told[#told + 1] = { ARGV[index], revision }
end
note(told, {})
return 1
