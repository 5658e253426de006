-- Replaces KEYS[1] by ARGV[2] for ARGV[3] milliseconds if it still is ARGV[1]; with ARGV[3] 0 it is deleted.
-- Returns 1 when it was.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
