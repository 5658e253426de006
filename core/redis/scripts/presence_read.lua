-- Reads the presence of users of one partition, and watches them if a watcher is given.
-- KEYS: for each user the presence (ZSET), when last connected, the watchers (ZSET).
-- ARGV: the watcher or "", how long the watch lasts in milliseconds, the greatest number of watchers.
-- Returns for each user whether it is connected, and when it last was (false: unknown).
local watcher, lasts, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = {}
for first = 1, #KEYS, 3 do
  local watchers = KEYS[first + 2]
  if watcher ~= '' then
    redis.call('ZADD', watchers, now + lasts, watcher)
    redis.call('ZREMRANGEBYSCORE', watchers, '-inf', now)
    redis.call('ZREMRANGEBYRANK', watchers, 0, -most - 1)
    redis.call('PEXPIRE', watchers, lasts)
  end
  found[#found + 1] = redis.call('ZCOUNT', KEYS[first], now, '+inf') > 0 and 1 or 0
  found[#found + 1] = redis.call('GET', KEYS[first + 1])
end
return found
