--#include names clock
-- Give the version of the keys and since when there are any; where there is none, it is the one given.
redis.call('SET', VERSION, ARGV[2], 'NX')
redis.call('SET', BORN, string.format('%.0f', time[1] * 1000000 + time[2]), 'NX')
return { redis.call('GET', VERSION), redis.call('GET', BORN) }
