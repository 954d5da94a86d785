--#include names order counting dropping
-- Have this shard know what the journal tells, once and in its order: its entries.
local key = prefix .. 'dulse.applied'
local applied = tonumber(redis.call('GET', key) or 0)
for index = 2, #ARGV do
  local word, packed = string.match(ARGV[index], '^(%d+):(.*)$')
  if tonumber(word) > applied then
    local groups, drops = unpack(cmsgpack.unpack(packed))
    for _, pair in ipairs(groups) do
      if pair[2] == '0' then
        redis.call('DEL', group_of(pair[1]))
      else
        redis.call('HSET', group_of(pair[1]), '@', pair[2])
      end
    end
    for _, queue in ipairs(drops) do
      drop(queue)
    end
    applied = tonumber(word)
    redis.call('SET', key, word)
  end
end
return 1
