package.path = 'lua/spec/?.lua;' .. package.path
local health = require 'ebbgate.core.health'
local selection = require 'ebbgate.core.selection'
local tools = require 'tools'

local CHECK = { rise = 2, fall = 3 }
local SETTINGS = { max_fails = 3, fail_timeout_ms = 10000, slow_start_ms = 0 }

local function settings(changes)
  local one = {}
  for name, value in pairs(SETTINGS) do one[name] = value end
  for name, value in pairs(changes or {}) do one[name] = value end
  return one
end

describe('an ejection', function()
  it('lasts fail_timeout, then twice as long with each half-open request that fails, up to five minutes', function()
    local record, now, lasted = nil, 1000, {}
    for i = 1, 8 do
      record = health.eject(record, now, 10, 'why')
      lasted[i] = record.until_at - now
      now = record.until_at
    end
    assert.same({ 10, 20, 40, 80, 160, 300, 300, 300 }, lasted)
    assert.equal(1000, record.since)
    assert.equal(600, health.ejection_time(3, 600))
  end)

  it('goes on doubling for an instance that flaps, and forgets while it is well', function()
    local record = health.recover(health.eject(nil, 0, 10, ''), 10)
    -- Well for 5 s only: two in a row.
    local again = health.eject(record, 15, 10, '')
    assert.equal(2, again.level)
    assert.equal(15, again.since)
    -- Well for twice the last ejection's 20 s: one is forgotten.
    local well
    well = health.recover(again, 35)
    assert.equal(2, health.eject(well, 35 + 40, 10, '').level)
    assert.equal(1, health.eject(well, 35 + 60, 10, '').level)
  end)

  it('is never longer than the limit nor shorter than fail_timeout, whatever the history', function()
    for seed = 1, 50 do
      local random, record, now = tools.random(seed), nil, 0
      local fail_timeout = random(100)
      for _ = 1, 100 do
        now = now + random(1000)
        if record and record.out and random(2) == 1 then
          record = health.recover(record, now)
        else
          record = health.eject(record, now, fail_timeout, 'r')
          local lasts = record.until_at - now
          assert.is_true(lasts >= fail_timeout - 1e-6 and lasts <= math.max(fail_timeout, 300) + 1e-6, 'seed ' .. seed)
        end
        assert.same(record, health.unpack_passive(health.pack_passive(record)))
      end
    end
  end)

  it('is over when its time is, and when it could not be that long', function()
    local record = health.eject(nil, 1000, 10, '')
    assert.is_false(health.is_due(record, 1009.9, 10))
    assert.is_true(health.is_due(record, 1010, 10))
    assert.is_true(health.is_due(record, 900, 10))
    assert.is_true(health.is_due(record, 1000, 5))
  end)

  it('counts failures in slots, so that the last eight are one fail_timeout', function()
    assert.equal(health.SLOTS, health.slot(110, 10) - health.slot(100, 10))
  end)
end)

describe('a check', function()
  --- The verdicts after each result: + passed, - failed.
  local function verdicts(results)
    local record, list = nil, {}
    for result in results:gmatch('.') do
      record = health.checked(record, result == '+', 0, CHECK, 'refused')
      list[#list + 1] = record.verdict:sub(1, 1)
      assert.same(record, health.unpack_active(health.pack_active(record)))
    end
    return table.concat(list)
  end

  it('needs fall failures in a row, and rise successes in a row', function()
    assert.equal('ppp', verdicts('+++'))
    assert.equal('uuf', verdicts('---'))
    assert.equal('pppf', verdicts('+---'))
    assert.equal('pppppp', verdicts('+--+--'))
    assert.equal('uuffp', verdicts('---++'))
  end)

  it('has its reason, and writes nothing while all goes well', function()
    local record
    for _ = 1, 3 do record = health.checked(record, false, 7, CHECK, 'status 500') end
    assert.equal('3 checks failed: status 500', record.reason)
    local passing = health.checked(nil, true, 7, CHECK)
    local same, differs, matters = health.checked(passing, true, 8, CHECK)
    assert.equal(passing, same)
    assert.is_false(differs)
    assert.is_false(matters)
  end)
end)

describe('the condition', function()
  local function of(known, changes, now)
    known.state = known.state or 'up'
    return health.condition(known, settings(changes), now or 100)
  end

  it('is nil for the healthy', function()
    assert.is_nil(of({}))
    assert.is_nil(of({ passive = health.recover(health.eject(nil, 1, 1, ''), 2) }))
    assert.is_nil(of({ active = health.checked(nil, true, 1, CHECK) }))
    assert.is_nil(of({ warm_since = 90 }, { slow_start_ms = 10000 }))
  end)

  it('is ejected until its time is over, then waits for a half-open request', function()
    local passive = health.eject(nil, 95, 10, 'why')
    local one = of({ passive = passive })
    assert.equal('ejected', one.state)
    assert.is_true(one.out)
    assert.equal(105, one.wake_at)
    one = of({ passive = passive }, nil, 105)
    assert.equal('half_open', one.state)
    assert.is_true(one.out)
    assert.is_nil(one.wake_at)
    assert.is_nil(of({ passive = passive }, { max_fails = 0 }))
  end)

  it('is failing whatever requests say', function()
    local active = { verdict = 'failing', since = 3, streak = 0, reason = 'r' }
    assert.equal('failing', of({ active = active, passive = health.eject(nil, 1, 1, '') }).state)
  end)

  it('of a suspect is failing from its first failed check on, unless it passed before', function()
    local active = health.checked(nil, false, 1, CHECK, 'refused')
    assert.is_nil(of({ active = active }))
    assert.equal('failing', of({ active = active, state = 'suspect' }).state)
    active = health.checked(health.checked(nil, true, 1, CHECK), false, 2, CHECK, 'refused')
    assert.is_nil(of({ active = active, state = 'suspect' }))
  end)

  it('ramps from a tenth to the whole', function()
    local changes = { slow_start_ms = 10000 }
    assert.near(0.1, of({ warm_since = 100 }, changes).factor, 1e-9)
    assert.near(0.55, of({ warm_since = 95 }, changes).factor, 1e-9)
    assert.near(0.991, of({ warm_since = 90.1 }, changes).factor, 1e-9)
    assert.equal(101, of({ warm_since = 95 }, changes).wake_at)
    assert.equal(100.5, of({ warm_since = 90.5 }, changes).wake_at)
    -- A clock that went back is no reason for less than a tenth.
    assert.near(0.1, of({ warm_since = 200 }, changes).factor, 1e-9)
  end)
end)

describe('newcomers', function()
  local function set(peers)
    local list = {}
    for id, state in pairs(peers) do
      list[#list + 1] = { id = id, state = state, weight = state == 'zero' and 0 or 1, down = false }
    end
    return { peers = list }
  end

  it('are those that may be used now and might not before', function()
    local before = set({ old = 'up', lost = 'suspect', drained = 'draining', unready = 'unready' })
    local after = set({ old = 'up', lost = 'up', drained = 'up', unready = 'unready', new = 'up' })
    local ids = {}
    for _, p in ipairs(health.newcomers(after, before, selection.eligible)) do ids[#ids + 1] = p.id end
    table.sort(ids)
    assert.same({ 'drained', 'new' }, ids)
  end)
end)
