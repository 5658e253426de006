-- Decides whether users who left, or whose process is gone, are offline now.
-- KEYS: the users of the process (SET), then for each user the presence (ZSET), when last connected, the watchers (ZSET).
-- ARGV: the process, whether it is gone (1), how long the time last connected is kept in milliseconds, then the users.
-- Returns, for each who went offline just now, {its number among the users, when last connected, the watchers ...}.
local users, process, dead = KEYS[1], ARGV[1], ARGV[2] == '1'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local offline = {}
for number = 1, #ARGV - 3 do
  local key, seen, watchers = KEYS[number * 3 - 1], KEYS[number * 3], KEYS[number * 3 + 1]
  local here, live, was, left = 0, 0, 0, false
  for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    was = 1
    local ends = tonumber(redis.call('ZSCORE', key, member))
    if member == 'gone' then
      left = ends
    elseif string.match(member, '[^|]+$') == process then
      if dead then
        redis.call('ZREM', key, member)
      elseif ends > now then
        here = here + 1
      end
    elseif ends > now then
      live = live + 1
    end
  end
  if here == 0 and (live > 0 or not left or left <= now) then
    redis.call('SREM', users, ARGV[number + 3])
  end
  if was == 1 and here + live == 0 and not (left and left > now) then
    redis.call('DEL', key)
    if not left then
      redis.call('SET', seen, string.format('%.0f', now), 'PX', ARGV[3])
    end
    local found = {number, redis.call('GET', seen)}
    for _, watcher in ipairs(redis.call('ZRANGEBYSCORE', watchers, now, '+inf')) do
      found[#found + 1] = watcher
    end
    offline[#offline + 1] = found
  end
end
return offline
