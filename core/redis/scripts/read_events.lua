-- Reads a user's events after a position.
-- KEYS: the head (HASH) and the log (STREAM) that publish_events writes.
-- ARGV: an epoch to use if there is none, the head's TTL in milliseconds, the position's epoch ("" for none) and offset.
-- Returns the epoch, the top offset, and what came after the position, in order, each as {offset, id, topic, payload};
-- false instead of them when the position is unknown here or something after it is gone.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local head = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'top')
local epoch, top = head[1], tonumber(head[3] or 0)
if not epoch or head[2] ~= run then
  epoch, top = ARGV[1], 0
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'top', 0, 'run', run)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local offset = tonumber(ARGV[4])
if ARGV[3] ~= epoch or offset > top then
  return {epoch, top, false}
end
if offset == top then
  return {epoch, top, {}}
end
local entries = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', offset + 1), string.format('%.0f-0', top))
if #entries ~= top - offset then
  return {epoch, top, false}
end
local found = {}
for number, entry in ipairs(entries) do
  local fields = entry[2]
  found[number] = {offset + number, fields[2], fields[4], fields[6]}
end
return {epoch, top, found}
