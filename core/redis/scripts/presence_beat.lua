-- Carries a process's lease on, and claims those of processes that let theirs run out.
-- KEYS[1]: the processes by when their lease ends (ZSET). ARGV: the process, the lease in milliseconds, how many to claim.
-- Returns the processes claimed: whoever asks has a lease's time to put in order what they left.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
for _, process in ipairs(dead) do
  redis.call('ZADD', KEYS[1], now + ARGV[2], process)
end
redis.call('PEXPIRE', KEYS[1], 86400000)
return dead
