--- Nothing of the gateway waits for the wall clock: somebody may set it at any moment, by any amount.
package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local wire_up = { messages = function() return nil, 'timeout' end }
package.loaded['ebbgate.worker.follow.redis'] = {
  next_message = function(_, ms)
    host.time = host.time + ms / 1000
    return wire_up.messages()
  end,
  ping_subscription = function() return true end,
}
local core = require 'ebbgate.core.health'
local keys = require 'ebbgate.core.keys'
local clock = require 'ebbgate.worker.clock'
local healths = require 'ebbgate.worker.health.health'
local lease = require 'ebbgate.worker.lease'
local link_state = require 'ebbgate.worker.report.link_state'
local live = require 'ebbgate.worker.live'
local lock = require 'ebbgate.worker.lock'
local pace = require 'ebbgate.worker.pace'
local reporter = require 'ebbgate.worker.report.reporter'
local request_clock = require 'ebbgate.phase.http.request_clock'
local startup = require 'ebbgate.worker.startup'
local sync = require 'ebbgate.worker.follow.sync'

local HOUR = 3600

--- Declares the test twice: with the wall clock set back, and set forward, whenever it calls `set()`.
local function whichever(name, test)
  for _, by in ipairs({ -HOUR, HOUR }) do
    it(name .. (by < 0 and ' (set back)' or ' (set forward)'), function()
      host.time, host.offset, host.timers = 1000, 1.7e9, {}
      test(function() host.offset = host.offset + by end, by)
    end)
  end
end

describe('the clock', function()
  whichever('shows people a moment by the wall clock of today, the same each time', function(set, by)
    local shown = clock.wall_of(900)
    assert.near(1.7e9 + 900, shown, 0.001)
    host.offset = host.offset + 0.3
    assert.equal(shown, clock.wall_of(900))
    set()
    assert.near(shown + by, clock.wall_of(900), 1)
    host.offset = 1.7e9
    clock.wall_of(900)
  end)

  it('knows when a request began, by the time that nginx notes of it', function()
    host.start_time = function() return host.wall() - 2 end
    assert.equal(host.time - 2, request_clock.began())
    host.start_time = function() return host.wall() + HOUR end
    assert.equal(host.time, request_clock.began())
  end)
end)

describe('a lease', function()
  whichever('lasts its time', function(set)
    local dict = host.dictionary()
    assert.is_true(lease.take(dict, 'key', 'a', 5))
    set()
    host.time = host.time + 4.9
    assert.same({ false, 'a' }, { lease.take(dict, 'key', 'b', 5) })
    host.time = host.time + 0.2
    assert.is_nil(lease.owner(dict, 'key'))
    assert.is_true(lease.take(dict, 'key', 'b', 5))
    lease.release(dict, 'key', 'a')
    assert.equal('b', lease.owner(dict, 'key'))
    lease.release(dict, 'key', 'b')
    assert.is_true(lease.take(dict, 'key', 'c', 5))
  end)

  it('is over for ever, although its end comes round', function()
    local dict = host.dictionary()
    lease.take(dict, 'key', 'a', 5)
    for _, days in ipairs({ 1, 100, 248, 300, 496 }) do
      host.time = 1000 + days * 86400
      assert.is_nil(lease.owner(dict, 'key'), days .. ' days')
    end
  end)
end)

describe('the lock', function()
  whichever('goes from a worker that hangs to another one after five seconds', function(set)
    local dict, living = host.dictionary(), nginx.living()
    local hanging, other = lock.new(dict, 'lock', living), lock.new(dict, 'lock', '999999999.1')
    assert.is_true(hanging:take())
    set()
    host.time = host.time + 4
    assert.is_true(hanging:take())
    host.time = host.time + 4
    assert.is_true(hanging:is_owned())
    assert.is_false(other:take())
    host.time = host.time + 1.1
    assert.is_true(other:take())
    assert.is_false(hanging:is_owned())
    assert.is_true(hanging:take(), 'the other one is dead')
  end)
end)

describe('health', function()
  local peer = { id = 'a', host = '10.0.0.1', port = 1, state = 'up', weight = 1 }
  local settings = { max_fails = 2, fail_timeout_ms = 10000, slow_start_ms = 60000, max_ejected_percent = 50 }
  local document = { service = 'shop', health = settings, peers = { peer } }
  local entry, subject, dict

  --- One gateway and one instance, which fails.
  local function gateway()
    dict = host.dictionary()
    entry = { service = 'shop', health_key = keys.health.changed('shop'), upstream = { health = settings } }
    local member = { id = 'a', host = '10.0.0.1', port = 1, eligible = true, failures = { error = 'error' } }
    entry.upstream.by_id = { a = member }
    subject = healths.new({
      dict = dict, counters = { add = function() end }, incarnation = nginx.living(), mutex = nginx.mutex(), zone = '',
      max_tries = 5,
      rebuild = function() end,
    })
    return member
  end
  local function condition() return subject:view(entry, document).conditions.a end

  whichever('lets an ejection last its time, and no longer', function(set)
    local member = gateway()
    for _ = 1, 2 do subject:outcome(entry, member, 'error', nil) end
    assert.equal('ejected', condition().state)
    set()
    host.time = host.time + 9.9
    assert.equal('ejected', condition().state)
    host.time = host.time + 0.2
    assert.equal('half_open', condition().state)
  end)

  whichever('counts failures that lie within fail_timeout', function(set, by)
    local member = gateway()
    subject:outcome(entry, member, 'error', nil)
    set()
    host.time = host.time + 1
    subject:outcome(entry, member, 'error', nil)
    -- Set forward, the dictionary has forgotten the first: it frees by the wall clock what only counts within seconds.
    assert.equal(by < 0, condition() ~= nil)
    subject:outcome(entry, member, 'error', nil)
    assert.equal('ejected', condition().state)
  end)

  whichever('ejects again after a step, whoever ejected last', function(set)
    local member = gateway()
    for _ = 1, 2 do subject:outcome(entry, member, 'error', nil) end
    dict:delete(keys.health.passive(keys.health.name('shop', member)))
    set()
    host.time = host.time + 20
    for _ = 1, 2 do subject:outcome(entry, member, 'error', nil) end
    assert.equal('ejected', condition().state)
  end)

  whichever('lets a slow start take its time, and remembers the ejection before it', function(set)
    local member = gateway()
    local name = keys.health.name('shop', member)
    for _ = 1, 2 do subject:outcome(entry, member, 'error', nil) end
    host.time = host.time + 10
    local record = core.unpack_passive(dict:get(keys.health.passive(name)))
    local key = keys.health.lease(name)
    lease.take(dict, key, 'x', 60)
    subject:outcome(entry, member, 200, { key = key, value = 'x', until_at = record.until_at })
    assert.equal('warming', condition().state)
    set()
    host.time = host.time + 15
    assert.near(0.325, condition().factor, 0.01)
    for _ = 1, 2 do subject:outcome(entry, member, 'error', nil) end
    assert.equal(2, core.unpack_passive(dict:get(keys.health.passive(name))).level)
  end)
end)

describe('the background', function()
  whichever('sends heartbeats at their pace', function(set)
    local subject = reporter.new({ every = 1 })
    function subject:beat() self.beat_at, self.count = clock.now(), (self.count or 0) + 1 end
    for tick = 1, 100 do
      if tick == 50 then set() end
      subject:tick(clock.now())
      host.run_timers()
      host.time = host.time + 0.1
    end
    assert.near(10, subject.count, 1)
  end)

  --- A sync whose passes and PINGs are counted.
  local function following()
    local state, counted = host.dictionary(), { passes = 0, silent = 0, sessions = 0 }
    state:safe_set(keys.state.serving, true)
    local server = {
      subscribe = function()
        counted.sessions = counted.sessions + 1
        if counted.refuse then return nil, 'no' end
        return { close = function() end }
      end,
      is_elsewhere = function() return false end,
    }
    local subject = sync.new({
      state = state, store = {}, poll = 2, lock = { take = function() return true end },
      reporter = { watch_all = function() end, beat = function() end },
      problems = {
        raise = function(_, _, detail) if detail == 'the subscription is silent' then counted.silent = counted.silent + 1 end end,
        settle = function() end,
      },
      source = {
        server = function() return server end, is_replica = function() return false end, show = function() end,
        late_in = function() return nil end,
      },
      catch_up = {
        run = function()
          counted.passes = counted.passes + 1
          if counted.hook then counted.hook() end
          return true
        end,
        applied = function() return 0, 0 end,
      },
    })
    return subject, counted
  end

  whichever('polls at its pace, and ends a session in time', function(set)
    local subject, counted = following()
    wire_up.messages = function() return '' end
    counted.hook = function() if counted.passes == 3 then set() end end
    local began = host.time
    subject:ensure()
    host.run_timers()
    assert.near(60, host.time - began, 3)
    assert.is_true(counted.passes >= 20 and counted.passes <= 45, counted.passes)
  end)

  whichever('notices a silent subscription', function(set)
    local subject, counted = following()
    wire_up.messages = function() return nil, 'timeout' end
    counted.hook = set
    local began = host.time
    subject:ensure()
    host.run_timers()
    assert.equal(1, counted.silent)
    assert.near(2, host.time - began, 1)
  end)

  whichever('tries again soon after Redis was away', function(set)
    local subject, counted = following()
    counted.refuse = true
    subject:ensure()
    host.run_timers()
    set()
    for _ = 1, 50 do
      host.time = host.time + 0.1
      subject:ensure()
      host.run_timers()
    end
    assert.is_true(counted.sessions >= 3 and counted.sessions <= 12, counted.sessions)
  end)

  whichever('lets requests wait for the start no longer than it says', function(set)
    local state = host.dictionary()
    state:safe_set(keys.state.started_at, clock.now())
    live.dicts, live.serving, live.serve_at = { state = state }, false, startup.ends(state, 1000)
    set()
    startup.wait()
    assert.near(1001, host.time, 0.02)
  end)

  whichever('rests by its own work', function(set)
    set()
    local before = host.time
    -- Its work is measured for real, and this process may lose the processor in the middle of it.
    for _ = 1, 20 do
      pace.new():rest()
      if host.time == before then return end
      before = host.time
    end
    error('it rested each time')
  end)

  whichever('keeps when the link to Redis changed', function(set)
    local state = host.dictionary()
    set()
    link_state.note(state, true)
    host.time = host.time + 5
    link_state.note(state, true)
    assert.equal(1000, state:get(keys.state.redis_since))
  end)
end)
