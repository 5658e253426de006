-- CASES=events.lua HEADER=name wrk -t1 -c64 -d3s -s webhooks.lua URL: every event once; there must be more than are sent.
local cases, header, sent = dofile(os.getenv('CASES')), os.getenv('HEADER'), 0
request = function()
  sent = sent % #cases + 1
  local headers = {[header] = cases[sent][1], ['Content-Type'] = 'application/json'}
  return wrk.format('POST', '/payments/webhook', headers, cases[sent][2])
end
done = function(summary, latency)
  io.write(string.format('RESULT %d %d %.2f %.2f %d\n', summary.requests, summary.duration, latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.errors.status))
end
