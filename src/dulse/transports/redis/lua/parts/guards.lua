-- Read guards (count, then group and revision each; '0': no such group). Tells whether all hold, and whether a group is
-- missing that was not deleted in order, where it is known since when the client knows of any keys.
local function guards_hold(born)
  local hold, gone = true, false
  for _ = 1, number() do
    local group, revision = argument(), argument()
    local current = redis.call('HGET', group_of(group), '@') or '0'
    hold = hold and current == revision
    gone = gone or (born and current == '0' and was_taken_away(group, born))
  end
  return hold, gone
end
