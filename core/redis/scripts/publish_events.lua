-- Appends a user's events to the log and publishes them, in order, each once.
-- KEYS: the head (HASH), the log (STREAM), then for each event the mark that it was published.
-- ARGV: channel, an epoch to use if there is none, TTL of the log, the head and the marks in milliseconds, the log's
-- greatest length, then for each event its id, topic and payload. Returns how many were new.
-- A published message is "epoch\noffset\nid\ntopic\npayload".
local channel, log_ttl, head_ttl, mark_ttl, longest = ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local fresh = 0
for number = 3, #KEYS do
  if redis.call('SET', KEYS[number], 1, 'NX', 'PX', mark_ttl) then
    if not epoch then
      -- Offsets begin anew, which a log of an earlier epoch would not allow.
      epoch = ARGV[2]
      redis.call('DEL', KEYS[2])
      redis.call('HSET', KEYS[1], 'epoch', epoch, 'top', 0)
    end
    local first = 7 + (number - 3) * 3
    local id, topic, payload = ARGV[first], ARGV[first + 1], ARGV[first + 2]
    local offset = redis.call('HINCRBY', KEYS[1], 'top', 1)
    redis.call('XADD', KEYS[2], 'MAXLEN', longest, offset .. '-0', 'id', id, 'topic', topic, 'payload', payload)
    redis.call('SPUBLISH', channel, epoch .. '\n' .. offset .. '\n' .. id .. '\n' .. topic .. '\n' .. payload)
    fresh = fresh + 1
  end
end
if fresh > 0 then
  redis.call('PEXPIRE', KEYS[2], log_ttl)
  redis.call('PEXPIRE', KEYS[1], head_ttl)
end
return fresh
