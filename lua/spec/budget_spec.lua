package.path = 'lua/spec/?.lua;' .. package.path
local budget = require 'ebbgate.core.budget'
local tools = require 'tools'

describe('a retry budget', function()
  it('does not exist at 100 percent', function()
    assert.is_false(budget.new(100, 3))
    assert.is_false(budget.new(100, 3, budget.new(20, 3)))
  end)

  local rows = {
    -- percent, min per s, requests in one second, retries that are admitted
    { 20, 0, 100, 20 }, { 20, 3, 100, 30 }, { 20, 3, 200, 40 }, { 0, 3, 1000, 30 }, { 0, 0, 1000, 0 }, { 10, 0, 9, 0 },
    { 10, 0, 10, 1 }, { 99, 0, 100, 99 }, { 20, 0.15, 0, 1 }, { 20, 3 / 64, 0, 1 },
  }
  for _, row in ipairs(rows) do
    it(('of %d %%, at least %s/s, admits %d of %d'):format(row[1], row[2], row[4], row[3]), function()
      local one = budget.new(row[1], row[2])
      for _ = 1, row[3] do one:request(1000.5) end
      local admitted = 0
      for _ = 1, 1000 do
        local allowed = one:allows(1000.9)
        local taken = one:take(1000.9)
        assert.equal(allowed, taken)
        if taken then admitted = admitted + 1 end
      end
      assert.equal(row[4], admitted)
    end)
  end

  it('forgets requests and retries after ten seconds, both', function()
    local one = budget.new(20, 0)
    for _ = 1, 100 do one:request(50) end
    for _ = 1, 20 do assert.is_true(one:take(55)) end
    assert.is_false(one:take(59.9))
    for _ = 1, 100 do one:request(61) end
    -- Those of 50 no longer count, those of 55 do.
    assert.is_false(one:take(61))
    assert.is_true(one:take(65))
  end)

  it('goes on counting when the set changes, and when the clock goes back', function()
    local one = budget.new(20, 0)
    for _ = 1, 100 do one:request(500) end
    for _ = 1, 10 do one:take(500) end
    local changed = budget.new(10, 0, one)
    assert.is_false(changed:take(500))
    assert.is_true(budget.new(11, 0, changed):take(500))
    for _ = 1, 100 do changed:request(3) end
    assert.is_true(changed:take(3))
  end)

  it('never admits more than percent × requests + min × seconds + ten seconds of min, over any history', function()
    for seed = 1, 300 do
      local random = tools.random(seed)
      local percent, min_per_s = random(60) - 1, random(5) - 1
      local one = budget.new(percent, min_per_s)
      local begin = random(100000)
      local now, requests, retries = begin, 0, 0
      for _ = 1, 400 do
        local step = random(20)
        if step == 1 then now = now + random(25) elseif step < 12 then now = now + random() / 2 end
        for _ = 1, random(30) - 1 do
          one:request(now)
          requests = requests + 1
        end
        for _ = 1, random(30) - 1 do
          if one:take(now) then retries = retries + 1 end
        end
        local most = percent / 100 * requests + min_per_s * (now - begin) + min_per_s * 10
        tools.ensure(retries <= most, 'seed %d: %d of at most %.1f', seed, retries, most)
      end
    end
  end)
end)
