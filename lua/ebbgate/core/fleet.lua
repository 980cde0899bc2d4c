--- A set's document turned into what a worker serves by. A fleet is never changed: the next set builds the next one.
local address = require 'ebbgate.core.address'
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
local function new_member(p, service, state, sight)
  return {
    id = p.id, service = service, address = address.in_url(p.host), port = p.port, version = p.version,
    zone = p.zone, backup = p.backup, weight = p.weight, share = 0, selected = false, state_name = p.state,
    eligible = selection.eligible(p), peer = state, host = p.host, down = p.down,
    condition = sight and sight.conditions[p.id] or nil,
  }
end

local NOTHING = {}

--- What outcomes of a try count as a failure: each with the word for it.
local function failures_of(health)
  if not health or health.max_fails == 0 or health.fail_timeout_ms == 0 then return NOTHING end
  local failures = { error = 'error', timeout = 'timeout' }
  for _, status in ipairs(health.fail_statuses) do failures[status] = 'status' end
  return failures
end

--- The members that are not plainly healthy, those of them that wait for a trial (nil if none does), and when health wants
--- another look (nil = when told).
local function unwell_of(members)
  local unwell, trials, wake_at = {}, nil, nil
  for i = 1, #members do
    local member = members[i]
    local condition = member.eligible and member.condition
    if condition then
      unwell[#unwell + 1] = member
      if condition.wake_at and (not wake_at or condition.wake_at < wake_at) then wake_at = condition.wake_at end
      if condition.state == 'trial' then
        trials = trials or {}
        -- Looks like the member, but what comes of it is told apart.
        trials[#trials + 1] = setmetatable({ trial = true, ask_at = 0 }, { __index = member })
      end
    end
  end
  return unwell, trials, wake_at
end

--- Builds the fleet of `document` (a set or a tombstone, from wire.decode).
---   worker    this worker's incarnation, for the counters' keys
---   previous  the fleet so far, or nil
---   retiring  id → peers that left earlier sets with requests open; one that comes back is taken out of it
---   roll      in [0, 1): where a new picker starts
---   sight     {conditions = id → condition (core/health.lua), zone (the gateway's)}; nil = all are healthy
function fleet.build(document, worker, previous, retiring, roll, sight)
  local members, by_id, failures = {}, {}, failures_of(document.health)
  for i, p in ipairs(document.peers or {}) do
    local known = previous and previous.by_id[p.id]
    local state = known and known.peer or retiring[p.id] or peer.new(worker, document.service, p.id)
    state.retired, state.retiring, retiring[p.id] = false, nil, nil
    members[i] = new_member(p, document.service, state, sight)
    members[i].failures = failures
    by_id[p.id] = members[i]
  end
  local balancer = document.balancer or { algorithm = 'weighted_round_robin' }
  local chosen, about = selection.choose(members, {
    max_ejected_percent = document.health and document.health.max_ejected_percent or 50,
    prefer_zone = balancer.prefer_zone, zone = sight and sight.zone or '',
  })
  local picker = pickers[balancer.algorithm].new(chosen, roll, balancer)
  if previous then picker:carry(previous.picker) end
  local spare = #about.spare > 0 and pickers[balancer.algorithm].new(about.spare, roll, balancer) or nil
  local unwell, trials, wake_at = unwell_of(members)
  local answer_within = document.timeouts and (document.timeouts.connect_ms + document.timeouts.read_ms) / 1000 or 1
  local timeouts = document.timeouts or { connect_ms = 1, send_ms = 1, read_ms = 1 }
  return {
    service = document.service, removed = document.kind == 'tombstone', members = members, by_id = by_id, picker = picker,
    -- For retries that were everywhere else, and how many instances a request may come to.
    spare = spare, reach = picker.size + #about.spare + (trials and #trials or 0),
    health = document.health, upstream = document.upstream, panic = about.panic, unwell = unwell, trials = trials,
    wake_at = wake_at, answer_within = answer_within,
    tries = document.retry and document.retry.tries or 1,
    connect = timeouts.connect_ms / 1000, send = timeouts.send_ms / 1000, read = timeouts.read_ms / 1000,
  }
end

return fleet
