--#include names
-- Forget the entries of the journal that all shards know: up to this number.
local key, last = prefix .. 'dulse.journal', tonumber(ARGV[2])
while true do
  local entry = redis.call('LINDEX', key, 0)
  if not entry or tonumber(string.match(entry, '^%d+')) > last then
    return 1
  end
  redis.call('LPOP', key)
end
