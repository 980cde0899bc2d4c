--- The document of a set, made into what a worker serves by. An upstream is never changed: the next set builds the next one.
local address = require 'ebbgate.core.address'
local auth = require 'ebbgate.core.auth'
local breaker = require 'ebbgate.core.breaker'
local health = require 'ebbgate.core.health'
local proxy_location = require 'ebbgate.core.proxy_location'
local timeouts = require 'ebbgate.core.timeouts'
local peer = require 'ebbgate.core.peer'
local request_key = require 'ebbgate.core.request_key'
local selection = require 'ebbgate.core.selection'
local sticky = require 'ebbgate.core.sticky'

--- Algorithm → its picker. All are `new(members, roll, options)`, `carry(previous)`, `pick(tried, key, now)`, `size`:
---   members   what selection.choose gave; each has id, share > 0, peer (core/peer.lua)
---   roll      in [0, 1): where it starts, so that workers and gateways do not pick the same in step
---   options   the set's balancer
---   carry     takes over from the picker before it, of whatever algorithm, which parks if it can; called at most once, before
---             any pick
---   tried     nil, or the set of ids that this request was at: never picked again
---   key       what the request hashes to, 32 bits; nil or false if it has nothing to hash
---   now       microseconds of a clock that never goes back; given if `clocked` is true
---   size      members it chooses from
---   observe   optional: (member, microseconds, failed, now) of a try that ended; asked for by `clocked`
---   moved     optional: (peer, by) when the open requests of a peer whose `watcher` it made itself have moved by 1 or -1
---   park      optional: notes its position on the peers, for the next of its kind
local pickers = {
  weighted_round_robin = require 'ebbgate.core.picker.weighted_round_robin',
  random = require 'ebbgate.core.picker.random',
  least_connections = require 'ebbgate.core.picker.least_connections',
  ewma = require 'ebbgate.core.picker.ewma',
  ip_hash = require 'ebbgate.core.picker.ip_hash',
  consistent_hash = require 'ebbgate.core.picker.consistent_hash',
}

local upstream = {}

--- A peer of one set. An open request keeps its member: the set may change meanwhile, its version too. `selected`: the picker
--- may choose it. `afar`: in another zone, and there for retries and for the clients whose cookie names it. `keeps`: drained,
--- but still there for those clients. `ask_at`: when worker/health/half_open.lua may look for a lease again. `watch`: what of
--- its results takes it out (core/breaker.lua), or false; `results` and `streak_key`: where they are counted, once they are.
local function new_member(p, service, state, health_view, failures, watch)
  return {
    id = p.id, service = service, address = address.in_url(p.host), port = p.port, version = p.version,
    zone = p.zone, backup = p.backup, weight = p.weight, share = 0, selected = false, afar = false, state_name = p.state,
    eligible = selection.eligible(p), peer = state, token = false, host = p.host, down = p.down, failures = failures,
    condition = health_view and health_view.conditions[p.id] or nil,
    watch = watch, results = false, streak_key = false, ask_at = 0,
    keeps = p.keep_sticky == true and p.state == 'draining' and not p.down,
  }
end

local NOTHING = {}

--- What outcomes of a try count as a failure: each with the word for it.
local function failures_of(settings)
  if not settings or not health.is_passive(settings) then return NOTHING end
  local failures = { error = 'error', timeout = 'timeout', broken = 'broken' }
  for _, status in ipairs(settings.fail_statuses) do failures[status] = 'status' end
  return failures
end

--- The members that are not plainly healthy, those of them that wait for a half-open request (nil if none does), and when
--- health wants another look (nil = when something moves).
local function unwell_of(members)
  local unwell, half_open, wake_at = {}, nil, nil
  for i = 1, #members do
    local member = members[i]
    local condition = member.eligible and member.condition
    if condition then
      unwell[#unwell + 1] = member
      if condition.wake_at and (not wake_at or condition.wake_at < wake_at) then wake_at = condition.wake_at end
      if condition.state == 'half_open' then
        half_open = half_open or {}
        half_open[#half_open + 1] = member
      end
    end
  end
  return unwell, half_open, wake_at
end

--- How many of `half_open` are of members that are in no picker; in panic they are in one.
local function apart(half_open)
  local count = 0
  for i = 1, half_open and #half_open or 0 do
    if not half_open[i].selected then count = count + 1 end
  end
  return count
end

--- Takes the members that cookies may name into `by_token`.
local function name_members(service, members, names)
  local by_token = {}
  for i = 1, #members do
    local member = members[i]
    local token, further = names(service, member.id)
    member.token, by_token[token] = token, member
    for j = 1, #further do by_token[further[j]] = by_token[further[j]] or member end
  end
  return by_token
end

--- What is done with requests while nobody of the service may be asked: {service, answer}, or false.
local function instead_of(given)
  if not given or given.fallback == '' and not given.answer then return false end
  return { service = given.fallback ~= '' and given.fallback, answer = given.answer or false }
end

local UNKEYED = sticky.namer(nil, nil)

--- Builds the picker that chooses among `chosen`, in place of `previous` (or nil): peers report what is open to the
--- new one alone.
function upstream.picker(balancer, chosen, roll, previous, members)
  for i = 1, #members do members[i].peer.watcher = false end
  local picker = pickers[balancer.algorithm].new(chosen, roll, balancer)
  if previous then picker:carry(previous) end
  return picker
end

--- The member that `token` names, if it may serve whom it names and is not in `tried` (or nil). It may if it was selected, if
--- only its zone speaks against it, or if it drains and keeps its clients. A backup in reserve keeps no client.
function upstream.named(self, token, tried)
  local member = self.by_token and self.by_token[token]
  if not member or (tried and tried[member.id]) then return nil end
  if member.selected or member.afar or member.keeps then return member end
  return nil
end

--- Builds the upstream of `document` (a set or a tombstone, from wire.decode).
---   worker    this worker's incarnation, for the counters' keys
---   previous  the upstream so far, or nil
---   retiring  id → peers that left earlier sets with requests open; one that comes back is taken out of it
---   roll      in [0, 1): where a new picker starts
---   health_view     {conditions = id → condition (core/health.lua), zone (the gateway's)}; nil = all are healthy
---   names     what sticky.namer gave; nil = without a key
---   policies  of its requests (worker/policies.lua), or nil
function upstream.build(document, worker, previous, retiring, roll, health_view, names, policies)
  local members, by_id, failures = {}, {}, failures_of(document.health)
  local watch = document.health ~= nil and breaker.of_instance(document.health)
  for i, p in ipairs(document.peers or {}) do
    local known = previous and previous.by_id[p.id]
    local state = known and known.peer or retiring[p.id] or peer.new(worker, document.service, p.id)
    state.retired, state.retiring, retiring[p.id] = false, nil, nil
    members[i] = new_member(p, document.service, state, health_view, failures, watch)
    by_id[p.id] = members[i]
  end
  -- A peer that left reports to no picker any more.
  for id, member in pairs(previous and previous.by_id or {}) do
    if not by_id[id] then member.peer.watcher = false end
  end
  local balancer = document.balancer or { algorithm = 'weighted_round_robin' }
  local chosen, about = selection.choose(members, {
    max_ejected_percent = document.health and document.health.max_ejected_percent or 50,
    prefer_zone = balancer.prefer_zone, zone = health_view and health_view.zone or '',
  })
  local picker = upstream.picker(balancer, chosen, roll, previous and previous.picker, members)
  -- After the picker: it forgets who watches its members.
  local spare = #about.spare > 0 and pickers[balancer.algorithm].new(about.spare, roll, balancer) or nil
  local unwell, half_open, wake_at = unwell_of(members)
  local waits = document.timeouts or { connect_ms = 1, send_ms = 1, read_ms = 1 }
  local transport = proxy_location.transport(document.upstream)
  local location = proxy_location.name(transport, document.retry)
  local asks = auth.settings(document.auth, document.service)
  local settings, key_variable = sticky.settings(balancer.sticky), request_key.variable(balancer)
  return {
    service = document.service, removed = document.kind == 'tombstone', members = members, by_id = by_id, picker = picker,
    -- For retries that were everywhere else, and how many instances a request may come to.
    spare = spare, reach = picker.size + #about.spare + apart(half_open),
    health = document.health, scheme = document.upstream and document.upstream.scheme, panic = about.panic, unwell = unwell,
    half_open = half_open,
    wake_at = wake_at, answer_within = (waits.connect_ms + waits.read_ms) / 1000,
    key_variable = key_variable, sticky = settings, policies = policies or false, auth = asks,
    instead = instead_of(document.breaker),
    -- How many requests one instance may have; false = any number.
    most = document.concurrency ~= nil and document.concurrency.max_per_instance > 0 and document.concurrency.max_per_instance,
    -- True where somebody wants to know how long an instance takes.
    timed = picker.clocked or watch and watch.slow_percent > 0,
    -- True where a request needs nothing but a pick.
    is_plain = not (location or key_variable or settings or policies),
    by_token = settings and name_members(document.service, members, names or UNKEYED),
    tries = document.retry and document.retry.tries or 1,
    timeouts = timeouts.of(waits),
    repeats_answers = document.retry ~= nil and document.retry.on ~= nil and document.retry.on ~= 'error',
    repeats_all = document.retry ~= nil and document.retry.non_idempotent == true,
    transport = transport, location = location, cautious = proxy_location.cautious(transport, document.retry),
  }
end

return upstream
