-- Adds a connection to a user's presence.
-- KEYS: the user's presence (ZSET), the users of the process (SET).
-- ARGV: the connection's id, device, tab and process, its lifetime in milliseconds, how many connections a user may have,
-- the user, and how long the SET lives in milliseconds.
-- A member is "connection|device|tab|process"; "gone" stands for a user who has just left.
-- Returns {-1} when there are too many connections; else {whether the user was connected, the ids it takes the place of ...}.
local key, id, device, tab, process = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local place = '|' .. device .. '|' .. tab .. '|'
local older, others, present = {}, 0, 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, now, '+inf')) do
  present = 1
  if string.find(member, place, 1, true) then
    older[#older + 1] = member
  elseif member ~= 'gone' then
    others = others + 1
  end
end
if others >= tonumber(ARGV[6]) then
  return {-1}
end
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
redis.call('ZREM', key, 'gone', unpack(older))
redis.call('ZADD', key, now + ARGV[5], id .. place .. process)
redis.call('PEXPIRE', key, ARGV[5] * 2)
redis.call('SADD', KEYS[2], ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
local answer = {present}
for _, member in ipairs(older) do
  answer[#answer + 1] = string.match(member, '^[^|]+')
end
return answer
