-- Begins a call of a pair, unless the pair has one.
-- KEYS: the pair's lock, the call (HASH), the mark of the client's own name of the invite.
-- ARGV: the call's id, the TTL of lock and call in milliseconds, the TTL of the mark (0: the client gave no name), then
-- the call's fields and their values. Returns the id of the call that stands for the invite now.
local marked = ARGV[3] ~= '0'
local standing = marked and redis.call('GET', KEYS[3]) or redis.call('GET', KEYS[1])
if standing then
  return standing
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if marked then
  redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[3])
end
return ARGV[1]
