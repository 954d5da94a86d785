-- Give the last of `count` numbers before those that are new. A number never comes again: where the counter is
-- gone it begins at the time in microseconds, which it cannot outrun.
local function numbers(count)
  local last = redis.call('INCRBY', SEQUENCE, count)
  if last <= count then
    last = last + time[1] * 1000000 + time[2]
    redis.call('SET', SEQUENCE, string.format('%.0f', last))
  end
  return last - count
end
