--#include names clock
-- Keep an owner: owner, lease (ms), and, if there is one, the publisher of this client. Gives 1 if it was known, 0 if it is new,
-- nothing for one that was declared dead and not yet forgotten.
local score = redis.call('ZSCORE', OWNERS, ARGV[2])
if score and tonumber(score) == 0 then
  return false
end
-- A first write that takes no memory, after which the others may: leases have to be kept also where it is used up.
redis.call('PERSIST', OWNERS)
redis.call('ZADD', OWNERS, now + tonumber(ARGV[3]), ARGV[2])
if ARGV[4] then
  redis.call('EXPIRE', prefix .. 'dulse.pub:' .. ARGV[4], 3600)
end
return score and 1 or 0
