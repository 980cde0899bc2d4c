--- What this worker serves by: the one module that has state. `start` makes it. Sets reach it through the shared dictionary, and
--- every pick looks at its service's generation key (keys.sets.stamp) before it is final.
local budget = require 'ebbgate.core.budget'
local upstream = require 'ebbgate.core.upstream'
local keys = require 'ebbgate.core.keys'
local router = require 'ebbgate.core.router'
local wire = require 'ebbgate.core.wire'
local api_keys = require 'ebbgate.worker.auth.api_keys'
local choice = require 'ebbgate.worker.choice'
local clock = require 'ebbgate.worker.clock'
local counters = require 'ebbgate.worker.count.counters'
local health = require 'ebbgate.worker.health.health'
local in_flight = require 'ebbgate.worker.count.in_flight'
local newer_document = require 'ebbgate.worker.newer_document'
local pace = require 'ebbgate.worker.pace'
local policies = require 'ebbgate.worker.policies'

local live = {}

--- What the phases of HTTP must know from one request to the next:
---   unwritten     requests whose refusal is not written yet, and half_open: those that are half-open and have no answer yet.
---                 Both are almost always 0, and looking up a request's context costs more than asking this.
---   last_seen     the request that the body filter last ran for, and seen_whole: whether it has seen the end of that body. When
---                 an instance breaks, nginx sends what it has, and ends the request in the same breath: no other comes between.
---   decided       what policies have said of the request that comes to the access phase next (phase/http/access.lua)
---   admitted_by   the policies that admitted the request which goes to a proxy location now, and acting: what its route does
---   shaping       true once a route may change the head of an answer
---   log_texts     pairs of variables (phase/http/log_text.lua)
---   dropped       names of headers that the log has, and dropped_count
live.http = {
  unwritten = 0, half_open = 0, last_seen = false, seen_whole = false, decided = false, admitted_by = false, acting = false,
  shaping = false, log_texts = {}, dropped = {}, dropped_count = 0,
}

local named, microseconds, choose = upstream.named, clock.microseconds, choice.member

--- Sets may move under a pick; after this many moves within one pick something else is wrong.
local MAX_MOVES = 5
--- Seconds between two builds of an upstream because its health moved: 10,000 instances take 4 ms.
local REBUILT_AFTER = 0.02

--- `parts` {dicts, incarnation, tools (for wire.decode), max_tries, access_log (true if one is written), client_send_ms and
---        head_bytes (as in core/options.lua),
---        zone (of the gateway; '' = none), header_names (which the instances get: core/header_names.lua),
---        names (how sticky cookies name instances: sticky.namer),
---        limits (worker/limit/memory.lua), pattern (worker/pattern.lua),
---        sha256 (worker/auth/sha256.lua; nil = services that ask for keys refuse all),
---        is_safe (of the protocol: worker/health/half_open.lua), log_texts (phase/http/log_text.lua; nil = none),
---        serve_at (when requests wait no longer for the start: clock.now)}
function live.start(parts)
  live.dicts, live.sets, live.tools, live.incarnation = parts.dicts, parts.dicts.sets, parts.tools, parts.incarnation
  live.names, live.pattern = parts.names, parts.pattern
  live.max_tries, live.access_log, live.header_names = parts.max_tries, parts.access_log, parts.header_names
  live.client_send_ms, live.head_bytes = parts.client_send_ms, parts.head_bytes
  -- True where nginx must be set to ask for another try when a kept connection broke: from its patch
  -- `balancer_pool_max_retry` on, OpenResty takes back the one that nginx itself grants (docs/adr/0012).
  live.asks_again = ngx.config.nginx_version >= 1029002 and ngx.config.ngx_lua_version >= 10031
  live.in_flight = in_flight.new(parts.dicts.inflight, parts.incarnation)
  live.counters = counters.new(parts.dicts.metrics)
  live.health = health.new({
    dict = parts.dicts.health, counters = live.counters, incarnation = parts.incarnation, zone = parts.zone,
    max_tries = parts.max_tries, is_safe = parts.is_safe, rebuild = live.rebuild, mutex = parts.limits,
  })
  live.api_keys = parts.sha256 and api_keys.new(live.sets, parts.tools, parts.sha256) or false
  live.policy_parts = { memory = parts.limits, counters = live.counters, health = live.health }
  live.entries, live.waiting = {}, {}
  -- True once requests may be served; until then they wait, at most to `serve_at` (worker/startup.lua).
  live.serving, live.serve_at = false, parts.serve_at or 0
  -- True once a set wants to know more of answers than the log phase sees (phase/http/affinity.lua).
  live.attentive = false
  live.http.log_texts = parts.log_texts or {}
  live.routes = { stamp_key = keys.sets.stamp(wire.ROUTES) }
end

--- Takes the peers of `old` that `new` does not have out of service; their counters go with their last request.
local function retire(entry, old, new)
  for id, member in pairs(old.by_id) do
    if not new or not new.by_id[id] then
      local peer = member.peer
      peer.retired, peer.retiring = true, entry.retiring
      if peer.open == 0 then
        live.in_flight:forget(peer)
      else
        entry.retiring[id] = peer
      end
    end
  end
end

local function complain(name, reason)
  ngx.log(ngx.ERR, 'ebbgate: ', name, ' cannot be rebuilt: ', reason)
end

--- Stops serving the service. A worker that cannot build what is in force must not serve by what was: the gateway has acked it.
local function stop_serving(entry)
  if entry.upstream then retire(entry, entry.upstream, nil) end
  entry.upstream, live.waiting[entry] = nil, nil
end

--- Brings `entry` up to its generation key; with `again` it is built again in any case. True if it was.
local function refresh(entry, again)
  local document, stamp, reason = newer_document(
    live.sets, live.tools, entry.service, entry.stamp_key, not again and entry.stamp
  )
  if reason then
    complain(entry.service, reason)
    if not stamp then return false end
    -- Logged once: what cannot be read now, as a TLS profile that a reload took away, cannot be read at the next request either.
    stop_serving(entry)
    entry.stamp = stamp
    return true
  end
  if not document then
    if stamp == entry.stamp then return false end
    stop_serving(entry)
    entry.stamp = nil
    return true
  end
  local old = entry.upstream
  local health_view = live.health:view(entry, document)
  local asked = policies.of(document, entry, live.policy_parts)
  local new = upstream.build(
    document, live.incarnation, old, entry.retiring, math.random(), health_view, live.names, asked
  )
  entry.upstream, entry.stamp, entry.built_at, live.waiting[entry] = new, stamp, clock.now(), new.wake_at
  if new.sticky or new.timed then live.attentive = true end
  local retry = document.retry
  if retry then
    -- Each worker counts its own requests, so the percentage needs no sharing, and the minimum is shared out.
    entry.budget = budget.new(retry.budget_percent, retry.budget_min_per_s / ngx.worker.count(), entry.budget or nil)
  end
  if old then retire(entry, old, new) end
  if new.most then choice.note_open(new, live.policy_parts.memory) end
  return true
end

--- The worker's entry of a service; it stays the same table for as long as the service has a set or open requests.
--- `entry.upstream` is nil if there is no such set.
function live.entry(service)
  local entry = live.entries[service]
  if not entry then
    entry = {
      service = service, stamp_key = keys.sets.stamp(service), stamp = nil, upstream = nil, retiring = {}, budget = false,
      health_key = keys.health.changed(service), noted = nil, built_at = 0,
      -- How long its instances take (core/breaker.lua), as this worker sees it.
      latency = { median = 0, seen = 0 },
      -- In place of an instance, in the counters of requests that never came to one.
      nobody = { id = '', service = service, version = '' },
    }
    live.entries[service] = entry
  end
  return entry
end

--- `refresh`, which throws nothing: it runs where a request is counted already.
local function follow(entry, again)
  local built, err = pcall(refresh, entry, again)
  if built then return end
  complain(entry.service, err)
  -- Built again from the same set, the upstream so far is as good.
  if live.sets:get(entry.stamp_key) ~= entry.stamp then stop_serving(entry) end
end

--- True if another worker has learned of the health of the service since its upstream was built, which is built again for that,
--- though not for every one of many failures in a row.
local function has_moved(entry)
  return live.dicts.health:get(entry.health_key) ~= entry.noted and clock.now() >= entry.built_at + REBUILT_AFTER
end

--- The upstream that is in force now, or nil. An instance that any worker has ejected gets no request here: the retries of
--- what went there until the next look of the watch would spend the budget of the service.
function live.upstream(entry)
  if live.sets:get(entry.stamp_key) ~= entry.stamp then
    follow(entry)
  elseif has_moved(entry) then
    follow(entry, true)
  end
  return entry.upstream
end

--- The router that is in force now, or nil if no routes were ever published.
function live.router()
  local routes = live.routes
  if live.sets:get(routes.stamp_key) ~= routes.stamp then
    local document, stamp, reason = newer_document(live.sets, live.tools, wire.ROUTES, routes.stamp_key, routes.stamp)
    if reason then
      complain(wire.ROUTES, reason)
    elseif document then
      routes.router, routes.stamp = router.new(document.routes, live.pattern), stamp
      if routes.router.shaping then live.http.shaping = true end
    elseif stamp == nil then
      routes.router, routes.stamp = nil, nil
    end
  end
  return routes.router
end

--- Builds the upstream of `entry` again: its instances' health moved. What goes wrong is logged, and the one before stays.
function live.rebuild(entry)
  follow(entry, true)
end

--- True if there is no such service any more and no request is open on one of its peers. A request that has the
--- entry alone finds nobody in it, whatever comes after.
local function is_gone(entry)
  local current = live.upstream(entry)
  return (entry.stamp == nil or current ~= nil and current.removed) and next(entry.retiring) == nil
end

--- Drops services that are no more; a worker that got no request for them finds out here. Yields.
function live.forget()
  local entries, turn = {}, pace.new()
  for _, entry in pairs(live.entries) do entries[#entries + 1] = entry end
  for _, entry in ipairs(entries) do
    if is_gone(entry) then live.entries[entry.service], live.waiting[entry] = nil, nil end
    turn:rest()
  end
end

--- Uncounts a request that was counted on a peer.
local function uncount(peer, counter)
  live.in_flight:leave(peer, counter)
  if peer.counts then peer.counts:note(peer.open) end
end

--- Picks a peer and counts the request on it, so that a zero that is reported after an ack is true: count first, look at
--- the generation after. Returns the member, the counter's key for `live.leave`, and of a half-open request, its lease for
--- `live.outcome` or `live.abandon`; or nil when no peer is eligible, and whether one
--- would be if it were not full.
---   key, now  for the picker (core/upstream.lua)
---   token     what the client's cookie says, or false: the instance that it names comes before any that would be picked
---   limit     how many tries the request has, this one included if it is the first
function live.enter(entry, tried, key, now, token, limit)
  local current = entry.upstream
  for _ = 1, MAX_MOVES do
    if not current then return nil end
    local member, lease, is_full = choose(live, entry, current, tried, key, now, token, limit)
    if not member then return nil, is_full end
    local counter = live.in_flight:enter(member.peer)
    if live.sets:get(entry.stamp_key) == entry.stamp then return member, counter, lease end
    follow(entry)
    current = entry.upstream
    -- The count was there before the new set was read, so it may stay if the new set still wants the peer.
    local same = current and current.by_id[member.id]
    -- A half-open request is of an instance at its address.
    local moved = lease and same and (same.host ~= member.host or same.port ~= member.port)
    if same and same.peer == member.peer and not moved
      and (same.eligible or token and same == named(current, token, tried))
    then
      return same, counter, lease
    end
    if lease then live.abandon(lease) end
    uncount(member.peer, counter)
  end
  return nil
end

--- Reports what a try at `member` came to; once, after `live.leave`.
---   status  what the instance answered; or 'error' or 'timeout' if it gave no answer, 'broken' if it cut it short
---   began   when it was picked, in microseconds; false if nobody wants to know
---   took    how long the head of its answer took, if known: what follows goes at the client's pace
---   lease   of a half-open request, else false
function live.outcome(entry, member, status, began, took, lease)
  local picker = began and entry.upstream and entry.upstream.picker
  if picker and picker.observe then
    local now = microseconds()
    picker:observe(member, took or now - began, type(status) == 'string' or status >= 500, now)
  end
  if member.watch then
    return live.health:result(entry, member, status, began and (took or microseconds() - began), lease)
  end
  if lease or member.failures[status] then live.health:outcome(entry, member, status, lease) end
end

--- The half-open request that has `lease` said nothing about its instance: another one must.
function live.abandon(lease)
  live.health.half_open:abandon(lease)
end

--- Uncounts what `live.enter` counted; exactly once.
function live.leave(member, counter)
  uncount(member.peer, counter)
end

return live
