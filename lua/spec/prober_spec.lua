package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local asked = { total = 0, by_id = {} }
package.loaded['ebbgate.worker.probe'] = {
  run = function(target)
    asked.total, asked.by_id[target.id] = asked.total + 1, (asked.by_id[target.id] or 0) + 1
    if asked.verdict then return asked.verdict(target) end
    return true
  end,
}
local keys = require 'ebbgate.core.keys'
local prober = require 'ebbgate.worker.prober'

--- A prober of `count` instances that are checked every `interval_ms`; `held` tells whether this worker has the lock.
local function checking(count, interval_ms)
  host.time, host.timers, asked.total, asked.by_id, asked.verdict = 1000, {}, 0, {}, nil
  local members = {}
  for i = 1, count do
    local id = 'i' .. i
    members[i] = { id = id, host = '10.0.0.1', address = '10.0.0.1', port = i, state_name = 'up', down = false }
  end
  local fleet = {
    members = members, upstream = { scheme = 'http' },
    health = { check = { type = 'tcp', port = 0, interval_ms = interval_ms, timeout_ms = 50 } },
  }
  local sets, dict, most = host.dictionary(), host.dictionary(), 0
  sets:safe_set(keys.sets.last_stamp, 1)
  local self = { held = true }
  local subject = prober.new({
    dict = dict, sets = sets, store = { names = function() return { 'shop' } end }, counters = { add = function() end },
    health = { put = function(_, key, value) return dict:safe_set(key, value) end, checked = function() end },
    fleet = function() return fleet end, held = function() return self.held end,
  })
  self.subject = subject
  --- Ticks for so many seconds; `turns` of the loop between two ticks. The most checks that ran at a time.
  function self.run(seconds, turns)
    for _ = 1, seconds * 10 do
      host.time = host.time + 0.1
      subject:tick(host.time)
      most = math.max(most, subject.running)
      for _ = 1, turns or math.huge do
        if host.run_timers() == 0 then break end
        most = math.max(most, subject.running)
      end
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

  it('that cannot keep up leaves nobody out', function()
    local subject = checking(2000, 1000)
    subject.run(60, 2)
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
    host.time = host.time + 0.1
    subject.subject:tick(host.time)
    subject.held = false
    asked.total = 0
    while host.run_timers() > 0 do end
    assert.is_true(asked.total > 0 and asked.total <= 32, asked.total)
    assert.equal(0, subject.subject.running)
  end)
end)
