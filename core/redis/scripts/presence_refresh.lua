-- Carries the connections of a process in one partition on, and puts back what was lost.
-- KEYS: the users of the process (SET), then each user's presence (ZSET).
-- ARGV: the lifetime in milliseconds, how long the SET lives, then for each user its name, how many members and these.
local clock = redis.call('TIME')
local ends = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
local at = 3
for number = 2, #KEYS do
  local count = tonumber(ARGV[at + 1])
  redis.call('SADD', KEYS[1], ARGV[at])
  for member = at + 2, at + 1 + count do
    redis.call('ZADD', KEYS[number], ends, ARGV[member])
  end
  redis.call('ZREM', KEYS[number], 'gone')
  redis.call('PEXPIRE', KEYS[number], ARGV[1] * 2)
  at = at + 2 + count
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return #KEYS - 1
