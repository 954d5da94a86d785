-- Give back what a dead process of Kombu held, unless somebody has: tag, envelope, lists.
local fleet, tag = ARGV[1], ARGV[2]
if redis.call('HDEL', fleet .. 'unacked', tag) == 0 then
  return 0
end
redis.call('ZREM', fleet .. 'unacked_index', tag)
for index = 4, #ARGV do
  redis.call('RPUSH', ARGV[index], ARGV[3])
end
return 1
