--#include names
-- Give the version of the keys; where there is none, it is the one given.
local key = prefix .. 'dulse.version'
local version = redis.call('GET', key)
if version then
  return version
end
redis.call('SET', key, ARGV[2])
return ARGV[2]
