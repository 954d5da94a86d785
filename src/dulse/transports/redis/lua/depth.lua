--#include names order counting
-- Give for each queue how many are ready, leased, delayed, and the bytes of the ready ones.
local answer = {}
for index = 2, #ARGV do
  local queue = ARGV[index]
  local leased = 0
  for _, owner in ipairs(redis.call('SMEMBERS', holders_of(queue))) do
    leased = leased + redis.call('HLEN', held_of(owner, queue))
  end
  local count = count_ready(queue)
  answer[#answer + 1] = count
  answer[#answer + 1] = leased
  answer[#answer + 1] = redis.call('ZCARD', delayed_of(queue))
  answer[#answer + 1] = count > 0 and bytes_ready(queue) or 0
end
return answer
