--- Builds a worker's background: who syncs, who reports, what is flushed. Called once per worker.
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
local inspection = require 'ebbgate.worker.report.inspection'
local live = require 'ebbgate.worker.live'
local lock = require 'ebbgate.worker.lock'
local prober = require 'ebbgate.worker.health.prober'
local process = require 'ebbgate.worker.process'
local redis = require 'ebbgate.worker.follow.redis'
local reporter = require 'ebbgate.worker.report.reporter'
local self_check = require 'ebbgate.worker.report.self_check'
local store = require 'ebbgate.worker.follow.store'
local sync = require 'ebbgate.worker.follow.sync'
local request_counts = require 'ebbgate.worker.count.request_counts'
local timer = require 'ebbgate.worker.timer'
local problems = require 'ebbgate.worker.report.problems'

local background = {}

local TICK, FLUSH, SWEEP = 0.1, 1, 10

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

--- settings: the checked options, with `password` and `follow` (the script). `live` must have been started.
function background.start(settings, dicts, incarnation)
  local identity = { id = settings.gateway_id, version = settings.version, host = process.hostname() }
  local connection = redis.new({
    host = settings.redis_host, port = settings.redis_port, database = settings.redis_database,
    username = settings.redis_username, password = settings.password,
  })
  local holder = lock.new(dicts.state, keys.state.lock, incarnation)
  local files = disk.new(settings.state_dir)
  files:prepare()
  local sets = store.new(dicts.sets, files, function() return holder:held() end)
  local counts, totals = in_flight_counts.new(dicts), request_counts.new(dicts.metrics, membership)
  local wrong = problems.new(live.counters, dicts.state)
  local care = self_check.new({ dicts = dicts, disk = files, problems = wrong })
  local told = health_report.new({ dict = dicts.health, store = sets })
  local watch, checker = health_watch.new(dicts.health), lock.new(dicts.health, keys.health.lock, incarnation)
  local probes = prober.new({
    dict = dicts.health, sets = dicts.sets, store = sets, health = live.health, counters = live.counters,
    upstream = function(service) return live.upstream(live.entry(service)) end,
    held = function() return checker:held() end,
  })
  local report = reporter.new({
    redis = connection, state = dicts.state, in_flight_counts = counts, request_counts = totals, json = boot.json,
    tools = live.tools,
    problems = wrong, identity = identity, health = told, every = settings.heartbeat_ms / 1000,
  })
  local follow = sync.new({
    redis = connection, state = dicts.state, state_dir = settings.state_dir, store = sets, lock = holder, reporter = report,
    problems = wrong,
    poll = settings.poll_ms / 1000,
    catch_up = catch_up.new({
      redis = connection, store = sets, state = dicts.state, tools = live.tools, json = boot.json, lock = holder,
      script = settings.follow, problems = wrong, reporter = report, health = live.health,
    }),
  })
  live.inspection = inspection.new({
    dicts = dicts, store = sets, in_flight_counts = counts, json = boot.json, identity = identity, problems = wrong,
  })
  live.metrics = metrics.new({
    dicts = dicts, store = sets, in_flight_counts = counts, request_counts = totals, json = boot.json, health = told,
    problems = wrong,
  })

  timer.every('tick', TICK, function()
    if not holder:take() then return end
    follow:ensure()
    care:tick(clock.now())
    report:tick(clock.now())
  end, function()
    -- The new worker of a reload can go on at once.
    holder:release()
  end)
  if departure.holds(dicts.state) then
    timer.every('departure', FLUSH, function()
      if not departure.holds(dicts.state) or not holder:held() then return end
      if not departure.look(dicts.state, settings.state_dir) then return end
      ngx.log(ngx.NOTICE, 'ebbgate: the control API knows of this gateway again: it serves what its disk had')
      dicts.state:safe_set(keys.state.serving, true)
    end)
  end
  timer.every('health', TICK, function() watch:tick(clock.now()) end)
  timer.every('checks', TICK, function()
    if checker:take() then probes:tick(clock.now()) end
  end, function() checker:release() end)
  timer.every('flush', FLUSH, function() live.counters:flush() end, function() live.counters:flush() end)
  timer.every('entries', SWEEP, live.forget)
  timer.every('sweep', SWEEP, function()
    if holder:held() then totals:sweep(clock.now()) end
  end)
  timer.every('forget', SWEEP, function()
    if checker:held() then live.health:sweep(names_of, dicts.sets:get(keys.sets.last_stamp)) end
  end)
  -- The first session need not wait for the first tick.
  timer.soon('start', function()
    if holder:take() then follow:ensure() end
  end)
end

return background
