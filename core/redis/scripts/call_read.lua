-- Reads a call (HASH). Returns the time in milliseconds, and the fields and values in turn.
local clock = redis.call('TIME')
return {clock[1] * 1000 + math.floor(clock[2] / 1000), redis.call('HGETALL', KEYS[1])}
