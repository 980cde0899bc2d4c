--- What a worker does beside requests: follow Redis, report, check, flush. Started once per worker.
local keys = require 'ebbgate.core.keys'
local boot = require 'ebbgate.worker.boot'
local catch_up = require 'ebbgate.worker.follow.catch_up'
local clock = require 'ebbgate.worker.clock'
local in_flight_counts = require 'ebbgate.worker.count.in_flight_counts'
local departure = require 'ebbgate.worker.report.departure'
local disk = require 'ebbgate.worker.follow.disk'
local health_report = require 'ebbgate.worker.health.report'
local health_watch = require 'ebbgate.worker.health.watch'
local metrics = require 'ebbgate.worker.report.metrics'
local exchange = require 'ebbgate.worker.limit.exchange'
local inspection = require 'ebbgate.worker.report.inspection'
local live = require 'ebbgate.worker.live'
local lock = require 'ebbgate.worker.lock'
local prober = require 'ebbgate.worker.health.prober'
local process = require 'ebbgate.worker.process'
local redis = require 'ebbgate.worker.follow.redis'
local reporter = require 'ebbgate.worker.report.reporter'
local self_check = require 'ebbgate.worker.report.self_check'
local source = require 'ebbgate.worker.follow.source'
local store = require 'ebbgate.worker.follow.store'
local sync = require 'ebbgate.worker.follow.sync'
local request_counts = require 'ebbgate.worker.count.request_counts'
local timer = require 'ebbgate.worker.timer'
local problems = require 'ebbgate.worker.report.problems'

local background = {}

local TICK, FLUSH, RENEWED, SWEEP = 0.1, 1, 2, 10

--- The instances and versions of the set in force; nil if there is none.
local function membership(service)
  local upstream = live.upstream(live.entry(service))
  if not upstream or upstream.removed then return nil end
  local ids, versions = {}, {}
  for _, member in ipairs(upstream.members) do
    ids[member.id], versions[member.version] = true, true
  end
  return { ids = ids, versions = versions }
end

--- The instances of the set in force by their names in ebb_health, as a set; nil if there is none.
local function names_of(service)
  local upstream = live.upstream(live.entry(service))
  if not upstream or upstream.removed then return nil end
  local names = {}
  for _, member in ipairs(upstream.members) do names[keys.health.name(service, member)] = true end
  return names
end

--- Everything that works beside requests: who follows Redis, who reports, who checks. `dicts` and the options are as in `start`.
local function build(settings, dicts, incarnation)
  local identity = { id = settings.gateway_id, version = settings.version, host = process.hostname() }
  local connection = redis.new(settings.redis_address)
  local replica = settings.replica_address and redis.new(settings.replica_address)
  local syncing = lock.new(dicts.state, keys.state.lock, incarnation)
  local checking = lock.new(dicts.health, keys.health.lock, incarnation)
  local files = disk.new(settings.state_dir)
  files:prepare()
  local sets = store.new(dicts.sets, files, function() return syncing:is_owned() end)
  local counts, totals = in_flight_counts.new(dicts), request_counts.new(dicts.metrics, membership)
  local found = problems.new(live.counters, dicts.state)
  local reading = source.new({ primary = connection, replica = replica, state = dicts.state, problems = found })
  local unwell = health_report.new({ dict = dicts.health, store = sets })
  local report = reporter.new({
    redis = connection, source = reading, state = dicts.state, in_flight_counts = counts, request_counts = totals,
    json = boot.json, tools = live.tools, problems = found, identity = identity, health = unwell,
    every = settings.heartbeat_ms / 1000,
  })
  local pass = catch_up.new({
    source = reading, store = sets, state = dicts.state, tools = live.tools, json = boot.json, lock = syncing,
    script = settings.follow, problems = found, reporter = report, health = live.health, profiles = settings.tls_profiles,
  })
  live.policy_parts.exchange = exchange.new({
    redis = connection, memory = live.policy_parts.memory, state = dicts.state, script = settings.limit,
    id = settings.gateway_id,
  })
  live.inspection = inspection.new({
    dicts = dicts, store = sets, in_flight_counts = counts, json = boot.json, identity = identity, problems = found,
  })
  live.metrics = metrics.new({
    dicts = dicts, store = sets, in_flight_counts = counts, request_counts = totals, json = boot.json, health = unwell,
    problems = found, limits = live.policy_parts.memory, certificates = live.certificates,
  })
  return {
    syncing = syncing, checking = checking, problems = found, report = report, totals = totals, source = reading,
    watch = health_watch.new(dicts.health),
    self_check = self_check.new({ dicts = dicts, disk = files, problems = found }),
    sync = sync.new({
      source = reading, state = dicts.state, state_dir = settings.state_dir, store = sets, lock = syncing,
      reporter = report, problems = found, poll = settings.poll_ms / 1000, catch_up = pass,
    }),
    prober = prober.new({
      dict = dicts.health, sets = dicts.sets, store = sets, health = live.health, counters = live.counters,
      upstream = function(service) return live.upstream(live.entry(service)) end,
      is_owner = function() return checking:is_owned() end,
    }),
  }
end

--- For the one worker that follows Redis and reports.
local function start_sync(parts)
  timer.every('tick', TICK, function()
    if not parts.syncing:take() then return end
    parts.sync:ensure()
    parts.source:tick(clock.now())
    parts.self_check:tick(clock.now())
    parts.report:tick(clock.now())
    live.policy_parts.exchange:tick(clock.now())
  end, function()
    -- So that the new worker of a reload can go on at once.
    parts.syncing:release()
  end)
  timer.every('sweep', SWEEP, function()
    if parts.syncing:is_owned() then parts.totals:sweep(clock.now()) end
  end)
  -- The first session need not wait for the first tick.
  timer.soon('start', function()
    if parts.syncing:take() then parts.sync:ensure() end
  end)
end

--- Waits for somebody else to find out that this gateway, which had left, is known again.
local function start_return(parts, state, state_dir)
  timer.every('departure', FLUSH, function()
    if not departure.is_marked(state) or not parts.syncing:is_owned() then return end
    if not departure.look(state, state_dir) then return end
    ngx.log(ngx.NOTICE, 'ebbgate: the control API knows of this gateway again: it serves what its disk had')
    state:safe_set(keys.state.serving, true)
  end)
end

--- For the one worker that checks instances, and those that all workers need.
local function start_health(parts, dicts)
  timer.every('health', TICK, function() parts.watch:tick(clock.now()) end)
  timer.every('checks', TICK, function()
    if parts.checking:take() then parts.prober:tick(clock.now()) end
  end, function() parts.checking:release() end)
  timer.every('forget', SWEEP, function()
    if parts.checking:is_owned() then live.health:sweep(names_of, dicts.sets:get(keys.sets.last_stamp)) end
  end)
end

--- Looks for renewed certificates; the worker that reports says what is wrong with them.
local function start_certificates(parts, found)
  timer.every('certificates', RENEWED, function()
    found:look(clock.wall())
    if not parts.syncing:is_owned() then return end
    local fault = found:fault(clock.wall())
    if fault then parts.problems:keep('certificate', fault) else parts.problems:settle('certificate') end
  end)
end

--- settings: the checked options, with `password`, and the scripts `follow` and `limit`. `live` must have been started.
function background.start(settings, dicts, incarnation)
  local parts = build(settings, dicts, incarnation)
  start_sync(parts)
  if departure.is_marked(dicts.state) then start_return(parts, dicts.state, settings.state_dir) end
  start_health(parts, dicts)
  if live.certificates then start_certificates(parts, live.certificates) end
  timer.every('flush', FLUSH, function() live.counters:flush() end, function() live.counters:flush() end)
  timer.every('entries', SWEEP, live.forget)
  timer.every('limits', FLUSH, function()
    local memory = live.policy_parts.memory
    -- One looks who is dead: each look reads a file for each worker.
    if parts.syncing:is_owned() then memory:bury() end
    live.counters:evicted(memory:take_evicted())
  end)
end

return background
