-- Takes one from a count that is above zero.
-- KEYS[1]: the count.
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then
  redis.call('DECR', KEYS[1])
end
