--- How long one try may wait, in seconds, for each of its waits: to connect, between two writes, between two reads.
local min = math.min

local patience = {}

--- The waits of a set: {connect, send, read, try, total}; `try` and `total` are false if there is no such bound.
function patience.of(timeouts)
  return {
    connect = timeouts.connect_ms / 1000, send = timeouts.send_ms / 1000, read = timeouts.read_ms / 1000,
    try = (timeouts.try_ms or 0) > 0 and timeouts.try_ms / 1000,
    total = (timeouts.total_ms or 0) > 0 and timeouts.total_ms / 1000,
  }
end

--- connect, send, read of a try that may wait for `left` seconds more, or nil: as long as the set says. A `stream` (a WebSocket)
--- is bounded only until it is connected: its silence is no slowness.
function patience.waits(set, left, stream)
  local most = left and set.try and min(left, set.try) or left or set.try
  if not most then return set.connect, set.send, set.read end
  if stream then return min(set.connect, most), set.send, set.read end
  return min(set.connect, most), min(set.send, most), min(set.read, most)
end

return patience
