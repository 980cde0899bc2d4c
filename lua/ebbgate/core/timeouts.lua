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

local function seconds(ms) return ms > 0 and ms / 1000 end

--- The waits of a set with those of `given` (as in a set, all optional) in place of its own.
function timeouts.with(set, given)
  return {
    connect = given.connect_ms and given.connect_ms / 1000 or set.connect,
    send = given.send_ms and given.send_ms / 1000 or set.send,
    read = given.read_ms and given.read_ms / 1000 or set.read,
    try = given.try_ms == nil and set.try or given.try_ms ~= nil and seconds(given.try_ms),
    total = given.total_ms == nil and set.total or given.total_ms ~= nil and seconds(given.total_ms),
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
