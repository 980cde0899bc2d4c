--- An instance as one worker knows it, by its id. It outlives the sets that name it: its open requests belong to the
--- instance, not to the picker of the day.
---
---   key, counted   its counter in ebb_inflight, and whether that exists
---   open           this worker's own count. At 0 the counter of a peer that no set names any more (`retired`) is removed
---   retiring       until then: the table of its service in which it is found again if it comes back
---   counts         where all workers count its open requests (worker/limit/open_counts.lua), once its set bounds them
---   idle           how many connections to it this worker's nginx may have kept, at most; counted only where `live.asks_again`
--- What pickers know of it is here too, so that it outlives them:
---   turn           what it has still to wait in a round robin (weighted_round_robin.lua)
---   average        its latency in microseconds as of `touched` (ewma.lua; 0 = never seen)
---   watcher, slot  the picker that wants to know when `open` changed, and what that picker keeps for it
local keys = require 'ebbgate.core.keys'

local peer = {}

function peer.new(worker, service, id)
  return {
    id = id, key = keys.inflight.counter(worker, service, id), counted = false, open = 0, retired = false, retiring = nil,
    idle = 0, counts = false, turn = false, average = 0, touched = 0, watcher = false, slot = 0,
  }
end

return peer
