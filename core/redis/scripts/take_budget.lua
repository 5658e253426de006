-- Counts one more, unless the limit is reached.
-- KEYS[1]: the count. ARGV: the limit, how long the count lives in milliseconds.
-- Returns 1, or 0 when the limit is reached.
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count >= tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], count + 1, 'PX', ARGV[2])
return 1
