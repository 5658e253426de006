-- Sets KEYS[1] to "version|value" unless a newer version stands there.
-- ARGV: version (integer below 2^53), value, TTL in milliseconds. Returns 1 when it was set.
local present = redis.call('GET', KEYS[1])
if present then
  local version = tonumber(string.match(present, '^(%d+)|'))
  if version and version > tonumber(ARGV[1]) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. '|' .. ARGV[2], 'PX', ARGV[3])
return 1
