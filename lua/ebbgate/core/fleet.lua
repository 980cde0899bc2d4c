--- A set's document turned into what a worker serves by. A fleet is never changed: the next set builds the next one.
local address = require 'ebbgate.core.address'
local lane = require 'ebbgate.core.lane'
local patience = require 'ebbgate.core.patience'
local peer = require 'ebbgate.core.peer'
local selection = require 'ebbgate.core.selection'

--- Algorithm → its picker. All are `new(members, roll, options)`, `carry(previous)`, `pick(tried, key, now)`, `size`:
---   members   what selection.choose gave; each has id, share > 0, peer (core/peer.lua)
---   roll      in [0, 1): where it starts, so that workers and gateways do not march in step
---   options   the set's balancer
---   carry     takes over from the picker before it, of whatever algorithm; called at most once, before any pick
---   tried     nil, or the set of ids that this request was at: never picked again
---   key       what the request hashes to, 0 … 2^32 - 1; nil if it has nothing to hash
---   now       microseconds of a clock that never goes back; given if `clocked` is true
---   size      members it chooses from
---   observe   optional: (member, microseconds, failed, now) of a try that ended; asked for by `clocked`
local pickers = { weighted_round_robin = require 'ebbgate.core.picker.weighted_round_robin' }

local fleet = {}

--- A peer of one set. It is what a request holds while it is open: the set may change meanwhile, its version too.
local function new_member(p, service, state)
  return {
    id = p.id, service = service, address = address.in_url(p.host), port = p.port, version = p.version,
    zone = p.zone, backup = p.backup, weight = p.weight, share = 0, state_name = p.state,
    eligible = selection.eligible(p), peer = state,
  }
end

--- Builds the fleet of `document` (a set or a tombstone, from wire.decode).
---   worker    this worker's incarnation, for the counters' keys
---   previous  the fleet so far, or nil
---   retiring  id → peers that left earlier sets with requests open; one that comes back is taken out of it
---   roll      in [0, 1): where a new picker starts
function fleet.build(document, worker, previous, retiring, roll)
  local members, by_id = {}, {}
  for i, p in ipairs(document.peers or {}) do
    local known = previous and previous.by_id[p.id]
    local state = known and known.peer or retiring[p.id] or peer.new(worker, document.service, p.id)
    state.retired, state.retiring, retiring[p.id] = false, nil, nil
    members[i] = new_member(p, document.service, state)
    by_id[p.id] = members[i]
  end
  local balancer = document.balancer or { algorithm = 'weighted_round_robin' }
  local picker = pickers[balancer.algorithm].new(selection.choose(members), roll, balancer)
  if previous then picker:carry(previous.picker) end
  local transport = lane.transport(document.upstream)
  return {
    service = document.service, removed = document.kind == 'tombstone', members = members, by_id = by_id, picker = picker,
    tries = document.retry and document.retry.tries or 1,
    patience = patience.of(document.timeouts or { connect_ms = 1, send_ms = 1, read_ms = 1 }),
    repeats_answers = document.retry ~= nil and document.retry.on ~= nil and document.retry.on ~= 'error',
    transport = transport, location = lane.location(transport, document.retry),
  }
end

return fleet
