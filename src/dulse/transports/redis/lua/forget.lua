--#include names clock elements chunks returning
-- Give back what an owner past its time holds: owner, limit, whether by force. Gives 1 if there is more.
-- No more than 250 at once: nobody else is served meanwhile.
-- The newest go first: what is put back in the order of the list finds its place at the end.
local owner, limit, force = ARGV[2], math.min(tonumber(ARGV[3]), 250), ARGV[4] == '1'
local score = redis.call('ZSCORE', OWNERS, owner)
if not force and (not score or tonumber(score) > now) then
  return 0
end
local queues = redis.call('SMEMBERS', holds_of(owner))
local tokens = {}
for _, queue in ipairs(queues) do
  for _, token in ipairs(redis.call('HKEYS', held_of(owner, queue))) do
    tokens[#tokens + 1] = { queue, token, math.abs(tonumber(token)) }
  end
end
table.sort(tokens, function(one, other) return one[3] > other[3] end)
local elements = {}
for index = 1, math.min(limit, #tokens) do
  local queue, token = tokens[index][1], tokens[index][2]
  local held = held_of(owner, queue)
  elements[queue] = elements[queue] or {}
  table.insert(elements[queue], as_returned(redis.call('HGET', held, token), token))
  redis.call('HDEL', held, token)
end
for queue, found in pairs(elements) do
  put_back(queue, found)
end
if #tokens > limit then
  redis.call('ZADD', OWNERS, 0, owner)
  return 1
end
for _, queue in ipairs(queues) do
  redis.call('SREM', holders_of(queue), owner)
end
redis.call('DEL', holds_of(owner))
redis.call('ZREM', OWNERS, owner)
return 0
