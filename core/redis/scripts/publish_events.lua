-- Appends a user's events to the log and publishes them, in order, each once.
-- KEYS: the head (HASH), the log (STREAM), then for each event the mark that it was published.
-- ARGV: channel, an epoch to use if there is none, TTL of the log, the head and the marks in milliseconds, the log's
-- greatest length, then for each event its id, topic and payload. Returns how many were new.
-- A published message is "epoch\noffset\nid\ntopic\npayload".
-- A log that a restarted server read from disk, or a replica took over, may lack events that were delivered: `run` says
-- which server process wrote it, and under another one the epoch is a new one.
local channel, log_ttl, head_ttl, mark_ttl, longest = ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local head = redis.call('HMGET', KEYS[1], 'epoch', 'run')
local epoch = head[2] == run and head[1]
local fresh = 0
for number = 3, #KEYS do
  if redis.call('SET', KEYS[number], 1, 'NX', 'PX', mark_ttl) then
    if not epoch then
      -- Offsets begin anew, which a log of an earlier epoch would not allow.
      epoch = ARGV[2]
      redis.call('DEL', KEYS[2])
      redis.call('HSET', KEYS[1], 'epoch', epoch, 'top', 0, 'run', run)
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
