--#include names
-- Give the version of the keys; where there is none, it is the one given.
local version = redis.call('GET', VERSION)
if version then
  return version
end
redis.call('SET', VERSION, ARGV[2])
return ARGV[2]
