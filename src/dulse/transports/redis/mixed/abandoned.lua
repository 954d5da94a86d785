-- Find what processes of Kombu took and did not finish: seconds after which they count as dead.
-- Gives tag, record, tag, record, ...
local fleet, found = ARGV[1], {}
local latest = redis.call('TIME')[1] - tonumber(ARGV[2])
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', fleet .. 'unacked_index', '-inf', latest, 'LIMIT', 0, 100)) do
  if string.sub(tag, 1, 6) ~= 'dulse.' then
    local record = redis.call('HGET', fleet .. 'unacked', tag)
    if record then
      found[#found + 1] = tag
      found[#found + 1] = record
    else
      redis.call('ZREM', fleet .. 'unacked_index', tag)
    end
  end
end
return found
