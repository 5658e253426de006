-- Appends events to the logs of users of one partition and publishes them, each user's in order.
-- Events come in groups, each of which is published together or not at all, and once.
-- KEYS: for each group the mark that it was published, then for each of its users the head (HASH) and the log (STREAM).
-- ARGV: an epoch to use where there is none, TTL of a log, a head and a mark in milliseconds, a log's greatest length, then
-- for each group the number of users, for each of them the channel and the number of events, for each event its id, topic and
-- payload. Returns how many groups were new.
-- A published message is "epoch\noffset\nid\ntopic\npayload".
-- A log that a restarted server read from disk, or a replica took over, may lack events that were delivered: `run` says
-- which server process wrote it, and under another one the epoch is a new one.
local new_epoch, log_ttl, head_ttl, mark_ttl, longest = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

local function append(head_key, log_key, head, channel, first, events)
  local epoch, top = head[2] == run and head[1], head[3]
  if not epoch then
    -- Offsets begin anew, which a log of an earlier epoch would not allow.
    epoch, top = new_epoch, 0
    redis.call('DEL', log_key)
  end
  redis.call('HSET', head_key, 'epoch', epoch, 'run', run, 'top', top + events)
  for number = 1, events do
    local at, offset = first + number * 3 - 3, string.format('%d', top + number)
    local id, topic, payload = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    redis.call('XADD', log_key, 'MAXLEN', longest, offset .. '-0', 'id', id, 'topic', topic, 'payload', payload)
    redis.call('SPUBLISH', channel, epoch .. '\n' .. offset .. '\n' .. id .. '\n' .. topic .. '\n' .. payload)
  end
  redis.call('PEXPIRE', log_key, log_ttl)
  redis.call('PEXPIRE', head_key, head_ttl)
end

local key, argument, total = 1, 6, 0
while key < #KEYS do
  local mark, users = KEYS[key], tonumber(ARGV[argument])
  key, argument = key + 1, argument + 1
  -- A mark lasts for as long as somebody tries again.
  local fresh = redis.call('PEXPIRE', mark, mark_ttl) == 0
  local heads = {}
  if fresh then
    for user = 1, users do
      -- What is no head or no log fails here, before anything is published.
      heads[user] = redis.call('HMGET', KEYS[key + user * 2 - 2], 'epoch', 'run', 'top')
      redis.call('XLEN', KEYS[key + user * 2 - 1])
    end
  end
  for user = 1, users do
    local events = tonumber(ARGV[argument + 1])
    if fresh then
      append(KEYS[key], KEYS[key + 1], heads[user], ARGV[argument], argument + 2, events)
    end
    key, argument = key + 2, argument + 2 + events * 3
  end
  if fresh then
    redis.call('SET', mark, 1, 'PX', mark_ttl)  -- last: what fails before leaves no mark of what was not published
    total = total + 1
  end
end
return total
