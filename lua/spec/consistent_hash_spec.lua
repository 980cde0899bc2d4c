package.path = 'lua/spec/?.lua;' .. package.path
local balancing = require 'balancing'
local tools = require 'tools'

local KEYS = 20000

local function new(weights, percent)
  return balancing.picker('consistent_hash', balancing.members(weights), 0.2, { max_load_percent = percent or 0 })
end

local function owners(subject)
  local list = {}
  for i = 1, KEYS do list[i] = subject:pick(nil, balancing.key(i)).id end
  return list
end

--- How many keys moved, and how many of them neither from nor to `id`.
local function moved(before, after, id)
  local count, others = 0, 0
  for i = 1, KEYS do
    if before[i] ~= after[i] then
      count = count + 1
      if before[i] ~= id and after[i] ~= id then others = others + 1 end
    end
  end
  return count, others
end

local function some_weights(random, count, equal)
  local weights = {}
  for i = 1, count do weights['10.0.0.' .. i .. ':8080'] = equal and 100 or random(3) == 1 and random(1000) or random(20) end
  return weights
end

describe('consistent hash', function()
  for _, equal in ipairs { true, false } do
    it('moves the keys of who comes or goes and no others, ' .. (equal and 'equal' or 'weighted'), function()
      local random = tools.random(equal and 21 or 22)
      for _ = 1, 25 do
        local count = random(30) + 1
        local weights, sum = some_weights(random, count, equal), 0
        for _, weight in pairs(weights) do sum = sum + weight end
        local gone = '10.0.0.' .. random(count) .. ':8080'
        local share = weights[gone] / sum
        local with = owners(new(weights))
        weights[gone] = nil
        local without = owners(new(weights))
        local count_moved, others = moved(with, without, gone)
        assert.equal(0, others)
        local limit = 1.5 * share * KEYS + 5 * (share * KEYS) ^ 0.5
        assert.is_true(count_moved <= limit, ('%d of %d keys for a share of %.4f'):format(count_moved, KEYS, share))
      end
    end)
  end

  it('moves at most 1.5 of N-th of the keys at every one of 50 equal peers', function()
    local weights = some_weights(nil, 50, true)
    local counts = {}
    for _, id in ipairs(owners(new(weights))) do counts[id] = (counts[id] or 0) + 1 end
    for id in pairs(weights) do assert.is_true(counts[id] <= 1.5 / 50 * KEYS, id .. ' owns ' .. counts[id]) end
  end)

  it('moves only to or from who changes its weight, by as much as it changes', function()
    local random = tools.random(23)
    for _ = 1, 25 do
      local weights, sum = some_weights(random, 10, false), 0
      local id = '10.0.0.' .. random(10) .. ':8080'
      local before = owners(new(weights))
      local old, fresh = weights[id], random(1000)
      weights[id] = fresh
      for _, weight in pairs(weights) do sum = sum + weight end
      local count, others = moved(before, owners(new(weights)), id)
      assert.equal(0, others)
      local change = math.abs(old / (sum - fresh + old) - fresh / sum)
      -- A weight in another class has its points elsewhere: all of its keys may go, and as many others come.
      local most = change * 1.5 + 1.5 * math.min(old, fresh) / (sum - math.max(old, fresh) + math.min(old, fresh)) * 2
      assert.is_true(count <= most * KEYS + 200, count .. ' keys for a change of ' .. change)
    end
  end)

  it('does not depend on order or history', function()
    local weights = some_weights(tools.random(24), 20, false)
    local before, members = owners(new(weights)), balancing.members(weights)
    local backwards = {}
    for i = #members, 1, -1 do backwards[#backwards + 1] = members[i] end
    assert.same(before, owners(balancing.picker('consistent_hash', backwards, 0.9, {})))
  end)

  it('spreads the keys of a dead owner over all others, the same key to the same one', function()
    local weights = some_weights(nil, 10, true)
    local subject, counts = new(weights), {}
    local mine = 0
    for i = 1, KEYS do
      local owner = subject:pick(nil, balancing.key(i)).id
      if owner == '10.0.0.4:8080' then
        mine = mine + 1
        local tried = { [owner] = true }
        local second = subject:pick(tried, balancing.key(i)).id
        tools.ensure(second == subject:pick(tried, balancing.key(i)).id)
        counts[second] = (counts[second] or 0) + 1
      end
    end
    local heirs = 0
    for _, count in pairs(counts) do
      heirs = heirs + 1
      assert.is_true(count < mine / 9 * 1.6, count .. ' of ' .. mine)
    end
    assert.equal(9, heirs)
  end)

  it('gives nobody more than its bound, whatever key is hot', function()
    for _, percent in ipairs { 100, 125, 200, 50 } do
      local random = tools.random(percent)
      local weights, sum = some_weights(random, 12, false), 0
      for _, weight in pairs(weights) do sum = sum + weight end
      local subject, open = new(weights, percent), {}
      for i = 1, 4000 do
        if #open > 200 or random(3) == 1 and #open > 0 then balancing.leave(table.remove(open, random(#open))) end
        local picked = balancing.enter(subject:pick(nil, balancing.key(random(2) == 1 and 1 or i)))
        open[#open + 1] = picked
        local most = math.ceil(math.max(percent, 100) / 100 * #open * picked.share / sum)
        tools.ensure(picked.peer.open <= most, '%d open, %d allowed of %d', picked.peer.open, most, #open)
      end
      assert.equal(#open, subject.open)
    end
  end)

  it('without a bound keeps a hot key where it is', function()
    local subject, first = new(some_weights(nil, 5, true), 0), nil
    for _ = 1, 100 do
      local picked = balancing.enter(subject:pick(nil, balancing.key(1)))
      first = first or picked
      assert.equal(first, picked)
    end
  end)

  it('is built for 1,000 peers of weight 100 in at most 2 MiB', function()
    local members = balancing.members(some_weights(nil, 1000, true))
    collectgarbage()
    collectgarbage()
    local before = collectgarbage('count')
    local subject = balancing.picker('consistent_hash', members, 0.5, { max_load_percent = 125 })
    collectgarbage()
    collectgarbage()
    assert.is_true(collectgarbage('count') - before < 2048, (collectgarbage('count') - before) .. ' KiB')
    assert.equal(1000, subject.size)
  end)
end)
