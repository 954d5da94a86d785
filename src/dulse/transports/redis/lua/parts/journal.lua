-- Note what the copies of other shards are to be told: revisions of groups (name, revision; '0': there is none any more)
-- and queues to drop. Numbers only grow, also where a fail-over has lost the last ones.
local function note(groups, drops)
  local key = prefix .. 'dulse.change'
  local last = tonumber(redis.call('GET', key) or 0)
  local word = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
  redis.call('SET', key, word)
  redis.call('RPUSH', prefix .. 'dulse.journal', word .. ':' .. cmsgpack.pack({ groups, drops }))
end
