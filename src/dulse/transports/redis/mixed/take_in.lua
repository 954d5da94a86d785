-- Store once for each queue what a process of Kombu said to all who listen: mark, step, envelope, queues.
local fleet, found = ARGV[1], 0
for index = 5, #ARGV do
  local queue = ARGV[index]
  if redis.call('SET', fleet .. 'dulse.once:' .. ARGV[2] .. ':' .. queue, 1, 'NX', 'EX', 60) then
    local key = fleet .. queue
    if ARGV[3] ~= '0' then
      key = key .. '\6\22' .. ARGV[3]
    end
    redis.call('LPUSH', key, ARGV[4])
    found = found + 1
  end
end
return found
