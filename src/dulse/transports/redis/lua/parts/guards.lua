-- Read guards (count, then group and revision each) and tell whether all hold. '0': no such group.
local function guards_hold()
  local hold = true
  for _ = 1, number() do
    local group, revision = argument(), argument()
    if (redis.call('HGET', group_of(group), '@') or '0') ~= revision then
      hold = false
    end
  end
  return hold
end
