-- Claims calls that are due to be looked at.
-- KEYS[1]: the calls by when they are due (ZSET). ARGV: milliseconds to add to the clock, how long a claim lasts in
-- milliseconds, how many to claim. Returns the calls claimed; who never finishes leaves them to another claim.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
for _, call in ipairs(due) do
  redis.call('ZADD', KEYS[1], now + ARGV[2], call)
end
return due
