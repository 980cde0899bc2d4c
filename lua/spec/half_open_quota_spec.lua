--- However workers come between one another, and whoever of them is killed in the middle: an instance has one half-open request
--- at a time.
package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local tools = require 'tools'
local core = require 'ebbgate.core.health'
local keys = require 'ebbgate.core.keys'
local healths = require 'ebbgate.worker.health.health'
local process = require 'ebbgate.worker.process'

local ensure = tools.ensure
local ROUNDS, WORKERS, TURNS = 10000, 3, 60
local SECONDS = 1.5
local SETTINGS = { max_fails = 1, fail_timeout_ms = 1000, fail_statuses = {}, max_ejected_percent = 50, slow_start_ms = 0 }
local PEER = { id = 'bad', host = '10.0.0.1', port = 1, eligible = true, failures = { error = 'error' } }
local NAME = keys.health.name('shop', PEER)
local LEASE = keys.health.lease(NAME)

local really_alive = process.alive

--- One gateway whose workers share a dictionary and a lock. Each operation on these is a moment at which another worker may come
--- between. `granted` counts half-open requests; the world ends with an error at the second of two at a time.
local function gateway(random, unlocked)
  local shared, world = host.dictionary(), { granted = 0, alive = {}, holder = nil }
  local dict = setmetatable({}, { __index = function(_, name)
    local operation = shared[name]
    return type(operation) == 'function' and function(_, ...)
      coroutine.yield()
      return operation(shared, ...)
    end or operation
  end })
  --- What is in force when a lease is written must be over, given back, or of a dead worker.
  function dict.safe_set(_, key, value, ...)
    -- Its end was written a moment ago.
    local at = host.time
    coroutine.yield()
    local current = key == LEASE and world.lease
    if key == LEASE then
      ensure(not current or shared:get(LEASE) ~= current.value or not world.alive[current.worker]
        or host.time >= current.at + SECONDS, 'two half-open requests at a time')
      world.lease = { value = value, worker = value:match('^[^|]*'), at = at }
      world.granted = world.granted + 1
    end
    return shared:safe_set(key, value, ...)
  end
  local mutex = {
    lock = function()
      coroutine.yield()
      while not unlocked and world.holder and world.alive[world.holder] do coroutine.yield() end
      world.holder = world.running
    end,
    unlock = function()
      coroutine.yield()
      world.holder = nil
    end,
  }
  shared:safe_set(keys.health.passive(NAME), core.pack_passive(core.eject(nil, host.time - 1.1, 1, 'x')))
  shared:safe_set(keys.health.changed('shop'), 1)
  shared:safe_set(keys.health.version, 1)

  --- What a worker does all the time: it asks for a lease, and its request ends well, badly, without a word, or late.
  local function work(subject, entry, member)
    while true do
      coroutine.yield()
      member.ask_at = 0
      local picked, lease = subject.half_open:take(entry, entry.upstream, 2)
      if picked then
        for _ = 1, random(6) do coroutine.yield() end
        local roll = random(4)
        if roll == 1 then subject.half_open:abandon(lease)
        else subject:outcome(entry, member, roll == 2 and 200 or 'error', lease) end
      end
    end
  end

  function world.worker(number)
    local name = number .. '.1'
    local member = { condition = { until_at = 0, lasts = 0 }, ask_at = 0, watch = false }
    for field, value in pairs(PEER) do member[field] = value end
    local entry = { service = 'shop', health_key = keys.health.changed('shop'), budget = false }
    entry.upstream = {
      half_open = { member }, by_id = { bad = member }, picker = { size = 1 }, tries = 2, answer_within = SECONDS,
      health = SETTINGS,
    }
    local subject = healths.new({
      dict = dict, counters = { add = function() end }, incarnation = name, zone = '', max_tries = 5, mutex = mutex,
      is_safe = function() return true end, rebuild = function() end,
    })
    world.alive[name] = true
    return { name = name, thread = coroutine.create(function() work(subject, entry, member) end) }
  end
  return world
end

--- Lets the workers of one gateway run, a step of one of them at a time; some die, and others take their place.
local function interleave(seed, unlocked)
  local random = tools.random(seed)
  host.time, host.logged = 1000, {}
  local world, workers = gateway(random, unlocked), {}
  process.alive = function(name) return world.alive[name] == true end
  for i = 1, WORKERS do workers[i] = world.worker(i) end
  local born = WORKERS
  for _ = 1, TURNS do
    local at = random(WORKERS)
    world.running = workers[at].name
    local ran, err = coroutine.resume(workers[at].thread)
    ensure(ran, 'seed %d: %s', seed, err)
    local roll = random(40)
    if roll == 1 then
      born, world.alive[world.running] = born + 1, nil
      workers[at] = world.worker(born)
    elseif roll <= 4 then
      host.time = host.time + random() * 2
    end
  end
  ensure(#host.logged == 0 or not host.logged[1]:find('ebbgate: health:', 1, true), 'seed %d: %s', seed, host.logged[1])
  return world.granted
end

describe('half-open requests', function()
  teardown(function() process.alive = really_alive end)

  it('are never two at a time, in 10,000 random interleavings of workers of which some are killed', function()
    local granted = 0
    for seed = 1, ROUNDS do granted = granted + interleave(seed) end
    -- Nor do they come to an end.
    ensure(granted > ROUNDS, 'only %d half-open requests', granted)
  end)

  it('would be without the lock', function()
    local found = false
    for seed = 1, ROUNDS do
      if not pcall(interleave, seed, true) then
        found = true
        break
      end
    end
    assert.is_true(found)
  end)
end)
