-- ARGV[1] stands before every key. Names of queues never hold \6\22, which Kombu puts before a priority.
local prefix = ARGV[1]
local SEQUENCE = prefix .. 'dulse.seq'
local OWNERS = prefix .. 'dulse.owners'
local DUE = prefix .. 'dulse.due'
local EXPIRING = prefix .. 'dulse.expiring'
local GROUPS = prefix .. 'dulse.groups'
-- Of what version all keys are, and since when (microseconds) there are any: another time than a client knows means that
-- they were flushed since then.
local VERSION, BORN = prefix .. 'dulse.version', prefix .. 'dulse.born'

-- The list of a queue's ready records of one priority, as Kombu names it: LPUSH in, RPOP out.
local function ready(queue, level)
  local key = prefix .. queue
  if string.sub(queue, 1, 6) == 'dulse.' then
    key = prefix .. 'dulse.queue:' .. queue
  end
  if level > 0 then
    return key .. '\6\22' .. level
  end
  return key
end

-- The priorities above 0 that may have ready records; there is no such key while none has.
local function levels_of(queue)
  return prefix .. 'dulse.levels:' .. queue
end

-- Bytes of the ready records.
local function size_of(queue)
  return prefix .. 'dulse.size:' .. queue
end

local function delayed_of(queue)
  return prefix .. 'dulse.delayed:' .. queue
end

-- What an owner has taken of a queue: token -> element.
local function held_of(owner, queue)
  return prefix .. 'dulse.held:' .. #owner .. ':' .. owner .. ':' .. queue
end

-- The queues that an owner has something of, and the owners that have something of a queue; perhaps more.
local function holds_of(owner)
  return prefix .. 'dulse.holds:' .. owner
end

local function holders_of(queue)
  return prefix .. 'dulse.holders:' .. queue
end

-- A group of the catalogue: '=' .. name -> value, and '@' -> its revision, which ends with the time of its last change.
local function group_of(name)
  return prefix .. 'dulse.group:' .. name
end
