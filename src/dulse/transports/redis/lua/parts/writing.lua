-- Collects what is put, and writes it list by list: variadic commands cost a fraction of single ones.
local entries = {}

local function add(target, payload, size)
  entries[#entries + 1] = { target, payload, size }
end

local function write_all()
  if #entries == 0 then
    return
  end
  local order = numbers(#entries)
  local lists, keys, sizes, levels, ends, dues = {}, {}, {}, {}, {}, {}
  for _, entry in ipairs(entries) do
    local target, payload, size = entry[1], entry[2], entry[3]
    local queue, level, ttl = target.queue, target.level, target.ttl
    order = order + 1
    if target.delay > 0 then
      local due = now + target.delay
      local element = struct.pack('>d', order) .. sealed(level, size, -order, 0, ttl, payload)
      redis.call('ZADD', delayed_of(queue), due, element)
      dues[queue] = math.min(dues[queue] or due, due)
    else
      local key = ready(queue, level)
      local list = lists[key]
      if not list then
        list = {}
        lists[key] = list
        keys[#keys + 1] = key
      end
      list[#list + 1] = sealed(level, size, order, now, ttl, payload)
      sizes[queue] = (sizes[queue] or 0) + size
      if level > 0 then
        levels[queue] = levels[queue] or {}
        levels[queue][level] = true
      end
      if ttl >= 0 then
        ends[queue] = math.min(ends[queue] or now + ttl, now + ttl)
      end
    end
  end
  for _, key in ipairs(keys) do
    call_with('LPUSH', key, lists[key])
  end
  for queue, size in pairs(sizes) do
    redis.call('INCRBY', size_of(queue), size)
  end
  for queue, found in pairs(levels) do
    for level in pairs(found) do
      redis.call('ZADD', levels_of(queue), level, level)
    end
  end
  for queue, due in pairs(dues) do
    redis.call('ZADD', DUE, 'LT', due, queue)
  end
  for queue, stop in pairs(ends) do
    redis.call('ZADD', EXPIRING, 'LT', stop, queue)
  end
end

-- Read targets: count, then queue, priority, time to live, delay, most records, most bytes, whether it refuses.
local function read_targets()
  local targets = {}
  for index = 1, number() do
    targets[index] = {
      queue = argument(), level = number(), ttl = number(), delay = number(),
      max_count = number(), max_bytes = number(), refuses = argument() == '1',
    }
  end
  return targets
end
