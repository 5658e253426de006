-- MODE=list|tree|mark|progress|bare CASES=cases.lua wrk -t1 -c16 -d6s -s load.lua URL
local cases, i, mode = dofile(os.getenv('CASES')), 0, os.getenv('MODE')
request = function()
  i = i % #cases + 1
  local token, course, lecture = cases[i][1], cases[i][2], cases[i][3]
  if mode == 'list' then return wrk.format('GET', '/courses?pageSize=20') end
  if mode == 'tree' then return wrk.format('GET', '/courses/' .. course) end
  if mode == 'mark' then
    local headers = {['Authorization'] = 'Bearer ' .. token, ['Content-Type'] = 'application/json'}
    return wrk.format('POST', '/progress/lecture', headers, '{"lectureId":"' .. lecture .. '"}')
  end
  return wrk.format('GET', '/progress/course/' .. course, {['Authorization'] = 'Bearer ' .. token})
end
done = function(summary, latency)
  local rate = summary.requests / summary.duration * 1e6
  io.write(string.format('RESULT %.0f %.2f %.2f %d\n', rate, latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.errors.status))
end
