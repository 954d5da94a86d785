--#include names clock numbers elements missing
-- What `put` does for one record, one target without limits or delay: publisher, its number, park, since when there
-- are keys, queue, priority, time to live, size, payload, guards.
local publisher, sequence = ARGV[2], ARGV[3]
local sequence_key
if publisher ~= '' then
  sequence_key = prefix .. 'dulse.pub:' .. publisher
  if tonumber(redis.call('GET', sequence_key) or 0) + 1 ~= tonumber(sequence) then
    return 1
  end
end
local queue, level, ttl = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
for index = 11, #ARGV, 2 do
  local revision = redis.call('HGET', group_of(ARGV[index]), '@')
  if not revision and was_taken_away(ARGV[index], ARGV[5]) then
    return 'gone'
  end
  if (revision or '0') ~= ARGV[index + 1] then
    if ARGV[4] == '-' then
      return 'stale'
    end
    queue, level, ttl = string.sub(ARGV[4], 2), 0, -1
    break
  end
end
local size = tonumber(ARGV[9])
redis.call('LPUSH', ready(queue, level), sealed(level, size, numbers(1) + 1, now, ttl, ARGV[10]))
redis.call('INCRBY', size_of(queue), size)
if level > 0 then
  redis.call('ZADD', levels_of(queue), level, level)
end
if ttl >= 0 then
  redis.call('ZADD', EXPIRING, 'LT', now + ttl, queue)
end
if sequence_key then
  redis.call('SET', sequence_key, sequence, 'EX', 3600)
end
return 1
