--#include names clock
-- Declare an owner past its time dead for good: it, whether by force. Gives 0 for an unknown one, 1 for one that lives, else 2.
local score = redis.call('ZSCORE', OWNERS, ARGV[2])
if not score then
  return 0
end
if ARGV[3] == '0' and tonumber(score) > now then
  return 1
end
redis.call('ZADD', OWNERS, 0, ARGV[2])
return 2
