-- Stands before each script in a mixed fleet. The scripts go on working with elements that have a binary head, and
-- what they write is made into what Kombu reads, and back:
-- ready lists: '{"dulse":"<head in hexadecimal>",' and Kombu's envelope without its first brace;
-- priorities: the steps, of which Kombu's publishers tell nobody where they use them;
-- what is taken: besides, a record in `unacked`, by which Kombu gives it back when nobody of ours is left;
-- bindings: besides, in the set that Kombu's publishers look at, of which the size counts as part of a revision.
local plain = redis
local fleet = ARGV[1]
local STEPS = {STEPS_HERE}
local HEX = string.rep('%02x', 34)
local LEVELS, HELD, EXCHANGE = fleet .. 'dulse.levels:', fleet .. 'dulse.held:', fleet .. 'dulse.group:x/'
local UNACKED, INDEX = fleet .. 'unacked', fleet .. 'unacked_index'
local IN_AN_HOUR

local function begins(text, start)
  return string.sub(text, 1, #start) == start
end

local function as_text(element)
  local mark = string.byte(element)
  if #element < 36 or (mark ~= 209 and mark ~= 210) or string.byte(element, 35) ~= 123 then
    return mark == 210 and #element >= 34 and string.sub(element, 35) or element
  end
  local rest = string.sub(element, 36)
  return '{"dulse":"' .. string.format(HEX, string.byte(element, 1, 34)) .. '"' .. (rest == '}' and '' or ',') .. rest
end

local function as_element(text)
  if type(text) ~= 'string' then
    return text
  end
  local head, at = string.match(text, '^{"dulse": ?"(%x+)",? ?()')
  if not head or #head ~= 68 then
    return text
  end
  return string.gsub(head, '%x%x', function(digits) return string.char(tonumber(digits, 16)) end)
    .. '{' .. string.sub(text, at)
end

local function each(convert, list)
  for index = 1, #list do
    list[index] = convert(list[index])
  end
  return list
end

local function queue_of(held)
  local rest = string.sub(held, #HELD + 1)
  local size, at = string.match(rest, '^(%d+):()')
  return string.sub(rest, at + tonumber(size) + 1)
end

-- Note what is taken as Kombu does. To an empty exchange: given back, it goes to its own queue and no other.
-- The score lies ahead of any time-out of Kombu's, so that nobody takes it for given up while we live.
local function note(held, words)
  if not IN_AN_HOUR then
    IN_AN_HOUR = plain.call('TIME')[1] + 3600
  end
  local queue, records, scores = cjson.encode(queue_of(held)), {}, {}
  for index = 1, #words, 2 do
    local text = as_text(words[index + 1])
    records[index] = 'dulse.' .. words[index]
    records[index + 1] = '[' .. (string.byte(text) == 123 and text or '"not JSON"') .. ',"",' .. queue .. ']'
    scores[index], scores[index + 1] = IN_AN_HOUR, records[index]
  end
  for first = 1, #records, 2000 do
    plain.call('HSET', UNACKED, unpack(records, first, math.min(first + 1999, #records)))
    plain.call('ZADD', INDEX, unpack(scores, first, math.min(first + 1999, #scores)))
  end
end

-- Forget such a record; false: Kombu has given it back already, so that it is nobody's here.
local function unnote(token)
  plain.call('ZREM', INDEX, 'dulse.' .. token)
  return plain.call('HDEL', UNACKED, 'dulse.' .. token) == 1
end

-- A binding of ours to a queue, as Kombu writes it: key, pattern, queue; nothing for any other field.
local function as_member(key, field)
  if not begins(field, '=["queue"') then
    return nil
  end
  local binding = cjson.decode(string.sub(field, 2))
  local defined = plain.call('HGET', key, '=')
  local kind = defined and cjson.decode(defined).type
  local pattern = ''
  if kind == 'topic' or (not kind and key == EXCHANGE .. 'amq.topic') then
    local words = {}
    for word in string.gmatch(binding[3] .. '.', '([^.]*)%.') do
      words[#words + 1] = word == '*' and '.*?[^\\.]' or word == '#' and '.*?' or word
    end
    pattern = '^' .. table.concat(words, '\\.') .. '$'
  elseif kind == 'headers' then
    return nil
  end
  return binding[3] .. '\6\22' .. pattern .. '\6\22' .. binding[2]
end

local function table_of(group)
  return fleet .. '_kombu.binding.' .. string.sub(group, #EXCHANGE + 1)
end

local calls = {}

function calls.LPUSH(key, ...)
  return plain.call('LPUSH', key, unpack(each(as_text, { ... })))
end

function calls.RPUSH(key, ...)
  return plain.call('RPUSH', key, unpack(each(as_text, { ... })))
end

function calls.RPOP(key, ...)
  local found = plain.call('RPOP', key, ...)
  return type(found) == 'table' and each(as_element, found) or as_element(found)
end

function calls.LINDEX(key, index)
  return as_element(plain.call('LINDEX', key, index))
end

function calls.LRANGE(key, first, last)
  return each(as_element, plain.call('LRANGE', key, first, last))
end

function calls.ZREVRANGE(key, ...)
  if begins(key, LEVELS) then
    return { unpack(STEPS) }
  end
  return plain.call('ZREVRANGE', key, ...)
end

function calls.ZRANGE(key, ...)
  if begins(key, LEVELS) then
    local steps = {}
    for index = #STEPS, 1, -1 do
      steps[#steps + 1] = STEPS[index]
    end
    return steps
  end
  return plain.call('ZRANGE', key, ...)
end

function calls.EXISTS(key, ...)
  return begins(key, LEVELS) and 1 or plain.call('EXISTS', key, ...)
end

function calls.ZADD(key, ...)
  return begins(key, LEVELS) and 0 or plain.call('ZADD', key, ...)
end

function calls.ZREM(key, ...)
  return begins(key, LEVELS) and 0 or plain.call('ZREM', key, ...)
end

function calls.HSET(key, ...)
  local answer = plain.call('HSET', key, ...)
  if begins(key, HELD) then
    note(key, { ... })
  elseif begins(key, EXCHANGE) then
    local member = as_member(key, (...))
    if member then
      plain.call('SADD', table_of(key), member)
    end
  end
  return answer
end

function calls.HDEL(key, field)
  if begins(key, EXCHANGE) then
    local member = as_member(key, field)
    if member then
      plain.call('SREM', table_of(key), member)
    end
  end
  local answer = plain.call('HDEL', key, field)
  if answer == 1 and begins(key, HELD) and not unnote(field) then
    return 0
  end
  return answer
end

function calls.HGET(key, field)
  if begins(key, HELD) and plain.call('HEXISTS', UNACKED, 'dulse.' .. field) == 0 then
    return false
  end
  local found = plain.call('HGET', key, field)
  if found and field == '@' and begins(key, EXCHANGE) then
    return plain.call('SCARD', table_of(key)) .. 'k' .. found
  end
  return found
end

function calls.HKEYS(key)
  local tokens = plain.call('HKEYS', key)
  if not begins(key, HELD) then
    return tokens
  end
  local left = {}
  for _, token in ipairs(tokens) do
    if plain.call('HEXISTS', UNACKED, 'dulse.' .. token) == 1 then
      left[#left + 1] = token
    else
      plain.call('HDEL', key, token)
    end
  end
  return left
end

function calls.UNLINK(key)
  if begins(key, HELD) then
    for _, token in ipairs(plain.call('HKEYS', key)) do
      unnote(token)
    end
  end
  return plain.call('UNLINK', key)
end

local redis = {
  call = function(command, ...)
    local ours = calls[command]
    if ours then
      return ours(...)
    end
    return plain.call(command, ...)
  end,
}
