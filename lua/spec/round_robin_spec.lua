package.path = 'lua/spec/?.lua;' .. package.path
local balancing = require 'balancing'
local tools = require 'tools'

local member = balancing.member

--- What round robin promises beyond what every picker does (picker_contract_spec.lua).
local picker = {
  new = function(members, roll) return balancing.picker('weighted_round_robin', members, roll) end,
}

local function count_picks(subject, picks, counts)
  counts = counts or {}
  for _ = 1, picks do
    local picked = subject:pick()
    counts[picked.id] = (counts[picked.id] or 0) + 1
  end
  return counts
end

describe('weighted round robin', function()
  it('gives each peer its weight in every cycle, within one pick', function()
    local random = tools.random(3)
    for round = 1, 60 do
      local members, sum = {}, 0
      for i = 1, random(12) do
        members[i] = member('i' .. i, random(3) == 1 and random(200) or random(5))
        sum = sum + members[i].weight
      end
      local subject = picker.new(members, random())
      for _ = 1, 3 do
        local counts = count_picks(subject, sum)
        for _, each in ipairs(members) do
          local off = math.abs((counts[each.id] or 0) - each.weight)
          assert.is_true(off <= 1, ('round %d: %s is off by %d'):format(round, each.id, off))
        end
      end
    end
  end)

  it('spreads light peers over the cycle', function()
    local members = { member('heavy', 100) }
    for i = 1, 100 do members[#members + 1] = member('light' .. i, 1) end
    local subject, longest, run = picker.new(members, 0.3), 0, 0
    for _ = 1, 2000 do
      run = subject:pick().id == 'heavy' and 0 or run + 1
      longest = math.max(longest, run)
    end
    assert.is_true(longest <= 5, 'light peers in a row: ' .. longest)
  end)

  it('keeps the shares of first tries, whatever is retried', function()
    local subject, counts = picker.new({ member('a', 5), member('b', 3), member('c', 2) }, 0.1), {}
    for _ = 1, 1000 do
      local first = subject:pick()
      counts[first.id] = (counts[first.id] or 0) + 1
      if first.id == 'a' then subject:pick({ a = true }) end
      subject:pick({ a = true, b = true, c = true })
    end
    assert.same({ a = 500, b = 300, c = 200 }, counts)
  end)

  it('spreads the retries of a broken peer over the others by weight, and floods nobody afterwards', function()
    local subject, counts = picker.new({ member('a', 5), member('b', 3), member('c', 1) }, 0.1), {}
    for _ = 1, 400 do
      local second = subject:pick({ a = true })
      counts[second.id] = (counts[second.id] or 0) + 1
    end
    assert.is_true(math.abs(counts.b - 300) <= 1 and math.abs(counts.c - 100) <= 1)
    counts = {}
    for _ = 1, 60 do
      local second = subject:pick({ b = true })
      counts[second.id] = (counts[second.id] or 0) + 1
    end
    assert.is_true(math.abs(counts.a - 50) <= 2 and math.abs(counts.c - 10) <= 2)
  end)

  it('carries the turns over: a set that changes at every pick still keeps the shares', function()
    local members = { member('a', 5), member('b', 3), member('c', 2) }
    local subject, counts = picker.new(members, 0.9), {}
    local random = tools.random(6)
    for _ = 1, 1000 do
      count_picks(subject, 1, counts)
      local scale, fresh = random(1000), {}
      for _, each in ipairs(members) do fresh[each.id] = each.weight * scale end
      local new = picker.new(balancing.reweigh(members, fresh), random())
      new:carry(subject)
      subject = new
    end
    assert.is_true(math.abs(counts.a - 500) <= 2)
    assert.is_true(math.abs(counts.b - 300) <= 2)
    assert.is_true(math.abs(counts.c - 200) <= 2)
  end)

  it('gives a newcomer its share from the start, neither more nor less', function()
    local random = tools.random(9)
    for _ = 1, 50 do
      local old = { member('a', 3), member('b', 2) }
      local subject = picker.new(old, random())
      for _ = 1, 1000 + random(100) do subject:pick(random(3) == 1 and { a = true } or nil) end
      local new = picker.new(balancing.reweigh(old, { a = 3, b = 2, c = 5 }), random())
      new:carry(subject)
      local counts = count_picks(new, 20)
      assert.is_true(math.abs(counts.c - 10) <= 2, 'the newcomer got ' .. counts.c .. ' of 20')
    end
  end)
end)
