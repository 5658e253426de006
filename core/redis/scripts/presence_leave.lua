-- Takes connections of one user out of the presence.
-- KEYS: the user's presence (ZSET), when the user was last connected.
-- ARGV: how long the user still counts as connected in milliseconds, how long the time last connected is kept, and the
-- members. Returns 1 when the user has no connection left.
local key = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if redis.call('ZREM', key, unpack(ARGV, 3)) == 0 then
  return 0
end
if #redis.call('ZRANGEBYSCORE', key, now, '+inf') > 0 then
  return 0
end
redis.call('DEL', key)
redis.call('ZADD', key, now + ARGV[1], 'gone')
redis.call('PEXPIRE', key, ARGV[1] + 60000)
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[2])
return 1
