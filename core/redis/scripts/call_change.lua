-- Changes a call if nobody else did since it was read.
-- KEYS: the call (HASH), the pair's lock. ARGV: the revision it was read at, the call's id, the call's TTL in milliseconds, the lock's
-- (0: the lock is released), then fields and their values. A lock that is another call's is left alone.
-- Returns 1 when it was changed.
if redis.call('HGET', KEYS[1], 'revision') ~= ARGV[1] then
  return 0
end
redis.call('HINCRBY', KEYS[1], 'revision', 1)
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if redis.call('GET', KEYS[2]) == ARGV[2] then
  if ARGV[4] == '0' then
    redis.call('DEL', KEYS[2])
  else
    redis.call('PEXPIRE', KEYS[2], ARGV[4])
  end
end
return 1
