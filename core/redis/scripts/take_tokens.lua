-- Takes up to so many tokens from a rate limit (GCRA, ATM Forum Traffic Management 4.0).
-- KEYS[1]: the theoretical arrival time in microseconds of Redis's own clock.
-- ARGV: microseconds a token, burst, tokens wanted.
-- Returns tokens taken, tokens left, microseconds until all are back, microseconds until one is (0 when some were taken).
local interval, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local room = burst * interval - (arrival - now)
local free = math.floor(room / interval)
if free < 1 then
  return {0, 0, arrival - now, math.ceil(interval - room)}
end
local taken = math.min(free, wanted)
-- Rounded up, so that fractions never add up to a token too many.
arrival = math.ceil(arrival + taken * interval)
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
return {taken, free - taken, arrival - now, 0}
