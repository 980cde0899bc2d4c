--- Counts open requests so that zero is true: every request counts itself, on its own path, in a counter of this worker's
--- incarnation, before it looks whether the set moved. in_flight_counts.lua reads.
local keys = require 'ebbgate.core.keys'

local in_flight = {}
in_flight.__index = in_flight

--- Makes what must exist before the first worker: a counter for requests that find no other.
function in_flight.prepare(dict)
  dict:safe_add(keys.inflight.uncounted, 0)
  dict:safe_add(keys.inflight.made, 0)
end

function in_flight.new(dict, incarnation)
  local uncounted = keys.inflight.uncounted_of(incarnation)
  local made, err = dict:safe_add(uncounted, 0)
  if not made and err ~= 'exists' then
    -- Survives its worker, so it errs on the side of "unknown".
    ngx.log(ngx.ERR, 'ebbgate: ebb_inflight is full: requests of this worker are not counted by instance')
    uncounted = keys.inflight.uncounted
  end
  return setmetatable({ dict = dict, uncounted = uncounted }, in_flight)
end

local function make_counter(self, peer)
  local made, err = self.dict:safe_add(peer.key, 0)
  if not made and err ~= 'exists' then return false end
  -- Before the first count: who reads `made` unchanged has not missed a count that matters (in_flight_counts.lua).
  self.dict:incr(keys.inflight.made, 1)
  peer.counted = true
  return true
end

--- Counts one request on `peer`. Returns the counter's key, for `leave`.
function in_flight:enter(peer)
  peer.open = peer.open + 1
  if peer.watcher then peer.watcher:moved(peer, 1) end
  if peer.counted or make_counter(self, peer) then
    if self.dict:incr(peer.key, 1) then return peer.key end
    peer.counted = false
  end
  self.dict:incr(self.uncounted, 1)
  return self.uncounted
end

--- Uncounts a request that `enter` counted.
function in_flight:leave(peer, key)
  peer.open = peer.open - 1
  if peer.watcher then peer.watcher:moved(peer, -1) end
  self.dict:incr(key, -1)
  if peer.retired and peer.open == 0 then self:forget(peer) end
end

--- Drops the counter of a peer that no set names and no request is open on.
function in_flight:forget(peer)
  if peer.counted then self.dict:delete(peer.key) end
  peer.counted = false
  if peer.retiring then peer.retiring[peer.id], peer.retiring = nil, nil end
end

return in_flight
