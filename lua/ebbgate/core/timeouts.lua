--- How long one try may wait, in seconds, for each of its waits: to connect, between two writes, between two reads.
local min = math.min

local timeouts = {}

--- The waits of a set: {connect, send, read, try, total}; `try` and `total` are false if there is no such bound.
function timeouts.of(given)
  return {
    connect = given.connect_ms / 1000, send = given.send_ms / 1000, read = given.read_ms / 1000,
    try = (given.try_ms or 0) > 0 and given.try_ms / 1000,
    total = (given.total_ms or 0) > 0 and given.total_ms / 1000,
  }
end

--- connect, send, read of a try that may wait for `left` seconds more, or nil: as long as the set says. A `stream` (a WebSocket)
--- is bounded only until it is connected: its silence is no slowness.
function timeouts.waits(set, left, stream)
  local most = left and set.try and min(left, set.try) or left or set.try
  if not most then return set.connect, set.send, set.read end
  if stream then return min(set.connect, most), set.send, set.read end
  return min(set.connect, most), min(set.send, most), min(set.read, most)
end

return timeouts
