-- Call a command with a key and any number of words: Lua passes some thousands at once.
local function call_with(command, key, words)
  for first = 1, #words, 2000 do
    redis.call(command, key, unpack(words, first, math.min(first + 1999, #words)))
  end
end
