--#include names order counting
-- Have guarded puts into an empty queue fail from now on: the queue, its group. Gives 0 if it has ready records.
if count_ready(ARGV[2]) > 0 then
  return 0
end
if redis.call('EXISTS', group_of(ARGV[3])) == 1 then
  redis.call('HSET', group_of(ARGV[3]), '@', 'sealed')
end
return 1
