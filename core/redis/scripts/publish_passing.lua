-- Publishes one message to many users' channels of one partition, and keeps nothing.
-- KEYS[1]: any name of the partition. ARGV: the message, then the channels.
for number = 2, #ARGV do
  redis.call('SPUBLISH', ARGV[number], ARGV[1])
end
return #ARGV - 1
