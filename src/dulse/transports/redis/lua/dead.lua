--#include names clock
-- Gives the time, the owners past theirs with when it was, and when the next one is.
return {
  now,
  redis.call('ZRANGEBYSCORE', OWNERS, '-inf', now, 'WITHSCORES'),
  redis.call('ZRANGEBYSCORE', OWNERS, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1),
}
