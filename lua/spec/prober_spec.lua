package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local asked = { total = 0, by_id = {} }
package.loaded['ebbgate.worker.health.probe'] = {
  run = function(target)
    if asked.began then asked.began() end
    asked.total, asked.by_id[target.id] = asked.total + 1, (asked.by_id[target.id] or 0) + 1
    if asked.verdict then return asked.verdict(target) end
    return true
  end,
}
local keys = require 'ebbgate.core.keys'
local healths = require 'ebbgate.worker.health.health'
local prober = require 'ebbgate.worker.health.prober'

--- A prober of `count` instances that are checked every `interval_ms`; `owned`: whether this worker has the lock.
local function checking(count, interval_ms)
  host.time, host.timers, host.turn, host.turned_at = 1000, {}, 0, 0
  asked.total, asked.by_id, asked.verdict, asked.began = 0, {}, nil, nil
  local members = {}
  for i = 1, count do
    local id = 'i' .. i
    members[i] = { id = id, host = '10.0.0.1', address = '10.0.0.1', port = i, state_name = 'up', down = false }
  end
  local upstream = {
    members = members, upstream = { scheme = 'http' },
    health = { check = { type = 'tcp', port = 0, interval_ms = interval_ms, timeout_ms = 50, rise = 1, fall = 1 } },
  }
  local sets, dict, most = host.dictionary(), host.dictionary(), 0
  sets:safe_set(keys.sets.last_stamp, 1)
  local self = { owned = true, upstream = upstream, dict = dict }
  local subject = prober.new({
    dict = dict, sets = sets, store = { names = function() return { 'shop' } end }, counters = { add = function() end },
    health = healths.new({ dict = dict, counters = {}, incarnation = '1.0', zone = '', max_tries = 5 }),
    upstream = function() return upstream end, is_owner = function() return self.owned end,
  })
  self.subject = subject
  asked.began = function() most = math.max(most, subject.running) end

  --- Another set: with this check, or nil for none.
  function self.publish(check)
    upstream.health = { check = check }
    sets:incr(keys.sets.last_stamp, 1)
  end

  --- What is known of the first instance from its checks, as text.
  function self.known()
    return dict:get(keys.health.active(keys.health.name('shop', members[1])))
  end
  --- Ticks for so many seconds. The most checks that ran at a time.
  function self.run(seconds)
    local ends = host.time + seconds
    while host.time < ends - 0.001 do
      local following = host.time + 0.1
      subject:tick(host.time)
      while host.time < following do host.ngx.sleep(0.001) end
    end
    return most
  end
  return self
end

describe('the prober', function()
  it('keeps up with 2,000 instances every second, 32 at a time', function()
    local subject = checking(2000, 1000)
    subject.run(2)
    asked.total, asked.by_id = 0, {}
    assert.is_true(subject.run(10) <= 32)
    assert.is_true(asked.total >= 19000 and asked.total <= 21000, asked.total)
    for i = 1, 2000 do
      local times = asked.by_id['i' .. i]
      assert.is_true(times >= 8 and times <= 12, 'i' .. i .. ': ' .. times)
    end
  end)

  it('spreads what is due at the same time, so that traffic has its turn', function()
    local subject, at = checking(2000, 1000), {}
    asked.verdict = function()
      at[host.time] = (at[host.time] or 0) + 1
      return true
    end
    -- All at once: as after a worker that was away for long.
    for i = 1, 2000 do
      subject.dict:safe_set(keys.health.due(keys.health.name('shop', subject.upstream.members[i])), host.time)
    end
    subject.run(2)
    for _, together in pairs(at) do assert.is_true(together <= 8, together) end
    assert.is_true(asked.total > 3000, asked.total)
  end)

  it('keeps its pace when the wall clock is set', function()
    local subject = checking(20, 1000)
    for _, by in ipairs({ -3600, 3600, 0 }) do
      host.offset = 1.7e9 + by
      asked.total = 0
      subject.run(10)
      assert.is_true(asked.total >= 180 and asked.total <= 220, by .. ': ' .. asked.total)
    end
  end)

  it('that cannot keep up leaves nobody out', function()
    local subject = checking(2000, 1000)
    host.turn = 0.05
    subject.run(60)
    for i = 1, 2000 do assert.is_true((asked.by_id['i' .. i] or 0) >= 15, 'i' .. i) end
  end)

  it('of many that time out leaves room for the others, at every moment', function()
    local subject = checking(100, 1000)
    asked.verdict = function(target)
      if target.port > 60 then return true end
      return false, 'timed out'
    end
    subject.run(4)
    local slow = 0
    asked.verdict = function(target)
      if target.port <= 60 then slow = math.max(slow, subject.subject.slow) end
      return target.port > 60, 'timed out'
    end
    subject.run(4)
    assert.is_true(slow > 0 and slow <= 16, slow)
  end)

  it('begins nothing more once another worker has the lock', function()
    local subject = checking(200, 100)
    subject.run(1)
    asked.total = 0
    asked.verdict = function()
      subject.owned = false
      return true
    end
    subject.run(0.1)
    assert.is_true(asked.total > 0 and asked.total <= 16, asked.total)
    assert.equal(0, subject.subject.running)
  end)

  it('does not march in step: intervals differ by up to a tenth, and begin anywhere', function()
    local subject, at = checking(50, 1000), {}
    asked.verdict = function(target)
      at[target.id] = at[target.id] or {}
      table.insert(at[target.id], host.time)
      return true
    end
    subject.run(30)
    local firsts, count = {}, 0
    for _, times in pairs(at) do
      if not firsts[times[1]] then firsts[times[1]], count = true, count + 1 end
      assert.is_true(#times >= 25 and #times <= 34, #times)
      for i = 2, #times do
        local gap = times[i] - times[i - 1]
        -- Ticks are a tenth of a second apart.
        assert.is_true(gap > 0.75 and gap < 1.25, gap)
      end
    end
    assert.is_true(count >= 6, count)
  end)

  it('forgets what it knows when the set has no check any more', function()
    local subject = checking(1, 1000)
    local check = subject.upstream.health.check
    asked.verdict = function() return false, 'status 500' end
    subject.run(3)
    assert.is_truthy(string.match(subject.known(), '^failing'))
    subject.publish(nil)
    subject.run(2)
    assert.same({ 'changed|shop', 'version' }, subject.dict:get_keys())
    asked.verdict = nil
    subject.publish(check)
    subject.run(3)
    assert.is_truthy(string.match(subject.known(), '^passing'))
  end)

  it('that takes over forgets what another worker has left', function()
    local subject = checking(1, 1000)
    local name = keys.health.name('shop', subject.upstream.members[1])
    subject.dict:safe_set(keys.health.active(name), 'failing|1.000|0|x')
    subject.publish(nil)
    subject.run(1)
    assert.same({}, subject.dict:get_keys())
  end)

  it('learns nothing from a check that ends after the set has none', function()
    local subject = checking(1, 1000)
    host.turn = 1000
    while subject.subject.running == 0 do subject.run(0.1) end
    subject.publish(nil)
    subject.run(1.1)
    assert.equal(1, host.run_timers())
    assert.is_nil(subject.known())
    assert.equal(0, subject.subject.running)
  end)
end)
