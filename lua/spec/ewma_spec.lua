package.path = 'lua/spec/?.lua;' .. package.path
local balancing = require 'balancing'
local tools = require 'tools'

--- Sends `seconds` of traffic, `rate` requests a second, through `subject`. `answer(member, now)` gives microseconds and whether
--- it failed. Returns id → picks, the time at the end.
local function send(subject, rate, seconds, answer, now)
  now = now or 0
  local counts, open, opened = {}, {}, 0
  for i = 1, rate * seconds do
    now = now + 1e6 / rate
    -- Answers that are due by now.
    for index = opened, 1, -1 do
      local one = open[index]
      if one.ends <= now then
        balancing.leave(one.member)
        subject:observe(one.member, one.took, one.failed, one.ends)
        open[index] = open[opened]
        open[opened], opened = nil, opened - 1
      end
    end
    local member = balancing.enter(subject:pick(nil, i, now))
    counts[member.id] = (counts[member.id] or 0) + 1
    local took, failed = answer(member, now)
    opened = opened + 1
    open[opened] = { member = member, took = took, failed = failed, ends = now + took }
  end
  for index = 1, opened do balancing.leave(open[index].member) end
  return counts, now
end

local function new(weights, roll)
  local members = balancing.members(weights)
  return balancing.picker('ewma', members, roll or 0.3), members
end

--- Sub-millisecond latencies with hiccups, as a busy machine has them.
local function jittery(random)
  return function() return random(50) == 1 and 3000 + random(5000) or 150 + random(300), false end
end

describe('peak ewma', function()
  it('gives equal peers below a millisecond shares within 20 % of each other, hiccups or not', function()
    for seed = 1, 8 do
      local random = tools.random(seed * 101)
      local counts = send(new({ a = 1, b = 1, c = 1 }, random()), 300, 30, jittery(random))
      local least, most = math.min(counts.a, counts.b, counts.c), math.max(counts.a, counts.b, counts.c)
      assert.is_true(most <= 1.2 * least, ('seed %d: %d, %d, %d'):format(seed, counts.a, counts.b, counts.c))
    end
  end)

  it('keeps the weights of equal peers', function()
    local random = tools.random(5)
    local counts = send(new({ a = 9, b = 1 }), 300, 60, jittery(random))
    assert.is_true(math.abs(counts.b / (300 * 60) / 0.1 - 1) < 0.2, counts.b .. ' of 18000')
  end)

  it('gives a peer that fails fast at most 5 %, at any rate, however heavy it is', function()
    for _, rate in ipairs { 2, 20, 500 } do
      for _, weights in ipairs { { a = 1, b = 1, c = 1 }, { a = 8, b = 1, c = 1 } } do
        local random = tools.random(rate)
        local counts = send(new(weights), rate, math.max(20, 2000 / rate), function(member)
          if member.id == 'a' then return 50, true end
          return 1000 + random(2000), false
        end)
        local share = (counts.a or 0) / (rate * math.max(20, 2000 / rate))
        assert.is_true(share <= 0.05, ('%.1f %% at %d a second'):format(share * 100, rate))
      end
    end
  end)

  it('gives a slow peer little, and less the slower it is', function()
    local function share(slowness)
      local random = tools.random(9)
      local counts = send(new({ a = 1, b = 1, c = 1 }), 200, 30, function(member)
        return (1000 + random(500)) * (member.id == 'a' and slowness or 1), false
      end)
      return counts.a / 6000
    end
    local three, ten, hundred = share(3), share(10), share(100)
    assert.is_true(three < 0.25 and ten < 0.05 and hundred < 0.02 and hundred <= ten,
      ('%.3f %.3f %.3f'):format(three, ten, hundred))
  end)

  it('tries a peer again that failed or was slow, and takes it back within a minute', function()
    for _, failed in ipairs { true, false } do
      local subject, random = new({ a = 1, b = 1, c = 1 }), tools.random(10)
      local function healthy() return 1000 + random(500), false end
      local _, now = send(subject, 200, 10, function(member)
        if member.id == 'a' then return 200000, failed end
        return healthy()
      end)
      _, now = send(subject, 200, 50, healthy, now)
      local counts = send(subject, 200, 10, healthy, now)
      assert.is_true(counts.a > 2000 / 3 * 0.8, 'after a minute it got ' .. counts.a .. ' of 2000')
    end
  end)

  it('tries it again without much traffic too', function()
    local subject, random = new({ a = 1, b = 1, c = 1 }), tools.random(13)
    local function usual() return 1000 + random(500), false end
    local _, now = send(subject, 2, 60, function(member)
      if member.id == 'a' then return 100, true end
      return usual()
    end)
    _, now = send(subject, 2, 90, usual, now)
    local counts = send(subject, 2, 60, usual, now)
    assert.is_true((counts.a or 0) > 20, 'after a minute and a half it got ' .. (counts.a or 0) .. ' of 120')
  end)

  it('lets a new peer begin as the others are', function()
    local subject, members = new({ a = 1, b = 1 })
    local random = tools.random(11)
    local function usual() return 20000 + random(5000), false end
    local _, now = send(subject, 100, 20, usual)
    local grown = balancing.reweigh(members, { a = 1, b = 1, c = 1 })
    local fresh = balancing.picker('ewma', grown, 0.8)
    fresh:carry(subject)
    local counts = {}
    -- Nobody answers yet: nothing is learned of the new one.
    for i = 1, 3000 do
      local id = fresh:pick(nil, i, now).id
      counts[id] = (counts[id] or 0) + 1
    end
    assert.is_true(math.abs(counts.c - 1000) < 150, 'the new peer got ' .. counts.c .. ' of 3000')
  end)

  it('does not give up on all when all fail', function()
    local counts = send(new({ a = 1, b = 1, c = 1 }), 100, 20, function() return 100, true end)
    for _, id in ipairs { 'a', 'b', 'c' } do assert.is_true(counts[id] > 400, id .. ' got ' .. (counts[id] or 0)) end
  end)
end)
