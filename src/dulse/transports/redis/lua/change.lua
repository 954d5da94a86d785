--#include names clock numbers arguments order counting dropping journal
-- Change the catalogue: whether only empty queues are dropped, the owner that must be dead ('-': none), count of
-- expected groups (name, revision), count of written groups (name; count of fields to set, these and their values;
-- count of fields to delete, these), count of queues to drop, these; the version of the keys. Gives since when there are
-- any, or nothing if something is not as expected.
local only_empty, corpse = argument() == '1', argument()
if corpse ~= '-' then
  local score = redis.call('ZSCORE', OWNERS, string.sub(corpse, 2))
  if score and tonumber(score) > now then
    return false
  end
end
for _ = 1, number() do
  local group, revision = argument(), argument()
  if (redis.call('HGET', group_of(group), '@') or '0') ~= revision then
    return false
  end
end
local writes = {}
for _ = 1, number() do
  local write = { group = argument(), sets = {}, deletions = {} }
  for _ = 1, number() do
    write.sets[#write.sets + 1] = { argument(), argument() }
  end
  for _ = 1, number() do
    write.deletions[#write.deletions + 1] = argument()
  end
  writes[#writes + 1] = write
end
local drops = {}
for index = 1, number() do
  drops[index] = argument()
  if only_empty and count_ready(drops[index]) > 0 then
    return false
  end
end
local version = argument()
if #writes > 0 then
  redis.call('SET', VERSION, version, 'NX')
  redis.call('SET', BORN, string.format('%.0f', time[1] * 1000000 + time[2]), 'NX')
end
local revision = #writes > 0 and numbers(#writes) or 0
local told = {}
for index, write in ipairs(writes) do
  local key = group_of(write.group)
  for _, pair in ipairs(write.sets) do
    redis.call('HSET', key, pair[1], pair[2])
  end
  for _, field in ipairs(write.deletions) do
    redis.call('HDEL', key, field)
  end
  local left = redis.call('HLEN', key) - redis.call('HEXISTS', key, '@')
  if left > 0 then
    told[index] = { write.group, string.format('%.0f:%.0f', revision + index, now) }
    redis.call('HSET', key, '@', told[index][2])
    redis.call('ZADD', GROUPS, 0, write.group)
  else
    told[index] = { write.group, '0' }
    redis.call('DEL', key)
    redis.call('ZREM', GROUPS, write.group)
  end
end
for _, queue in ipairs(drops) do
  drop(queue)
end
local far = tonumber(argument() or '')
if far and far + #told > 0 then
  local elsewhere = {}
  for index = 1, far do
    elsewhere[index] = argument()
  end
  note(told, elsewhere)
end
return redis.call('GET', BORN) or ''
