-- Tell whether a group that is missing was not deleted in order: all keys were flushed since the client learnt that there
-- are any, or the group was evicted.
local function was_taken_away(group, born)
  return redis.call('GET', BORN) ~= born or redis.call('ZSCORE', GROUPS, group)
end
