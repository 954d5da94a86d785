-- Keep the records by which Kombu would give back what an owner holds an hour ahead: owner.
local fleet, owner = ARGV[1], ARGV[2]
local score = redis.call('TIME')[1] + 3600
for _, queue in ipairs(redis.call('SMEMBERS', fleet .. 'dulse.holds:' .. owner)) do
  for _, token in ipairs(redis.call('HKEYS', fleet .. 'dulse.held:' .. #owner .. ':' .. owner .. ':' .. queue)) do
    redis.call('ZADD', fleet .. 'unacked_index', 'XX', score, 'dulse.' .. token)
  end
end
return 1
