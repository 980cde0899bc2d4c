--- A token bucket of all gateways together, in simulated time (lua/spec/gateways.lua): random arrivals, a network that delays
--- and loses, Redis that goes away, and its clock that is set. docs/explanation/limits.md has the numbers.
package.path = 'lua/spec/?.lua;' .. package.path
local cluster_bucket = require 'ebbgate.core.limit.cluster_bucket'
local gateways = require 'gateways'
local token_bucket = require 'ebbgate.core.limit.token_bucket'
local tools = require 'tools'

--- Seconds to the next of requests that come at random, `rate` of them in a second.
local function interval(random, rate) return -math.log((random(1000000) - 0.5) / 1000000) / rate end

--- {world, random}: `count` in a second; answers take up to `ms` each way.
local function world(seed, count, burst, number, ms)
  local random = tools.random(seed)
  local made = gateways.new({
    count = count, burst = burst, gateways = number, random = random,
    delay = function() return (0.2 + random(1000) / 1000 * (ms or 1.5)) / 1000 end,
  })
  made:run(1)
  return made, random
end

--- For world:run: requests at random, rate(i, now) of them in a second at gateway i.
local function load(one, random, rate)
  local nexts = {}
  return function(now)
    for i, gateway in pairs(one.list) do
      local wanted = rate(i, now)
      if wanted == 0 or gateway.gone then
        nexts[i] = nil
      else
        nexts[i] = nexts[i] or now + interval(random, wanted)
        while nexts[i] <= now do
          one:ask(i)
          nexts[i] = nexts[i] + interval(random, wanted)
        end
      end
    end
  end
end

--- Another gateway every 3 seconds.
local function jumping(rate)
  return function(i, now) return math.floor(now / 3) % 3 + 1 == i and rate or 0 end
end

local function near(expected, found, percent, what)
  local off = (found / expected - 1) * 100
  assert.is_true(math.abs(off) <= percent, ('%s: %.2f %% off'):format(what, off))
end

--- That of any second from `from` on as many were admitted as there may be, within `percent`.
local function each_second(one, from, seconds, count, percent, what)
  for at = from, from + seconds - 1, 0.25 do near(count, one:count(at, at + 1), percent, what) end
end

describe('a limit of all gateways together', function()
  it('admits its rate under overload, in the mean and in any second', function()
    for _, over in ipairs { 1.6, 3 } do
      local one, random = world(1, 500, 100, 3)
      local rush = load(one, random, function() return 500 * over / 3 end)
      one:run(2, rush)
      local from = one.now
      one:run(10, rush)
      near(500, one:count(from, from + 10) / 10, 1, over .. ' times')
      each_second(one, from, 10, 500, 5, over .. ' times')
    end
  end)

  it('admits its rate when the load jumps to another gateway', function()
    local one, random = world(2, 500, 100, 3)
    local rush = load(one, random, jumping(1500))
    one:run(2, rush)
    local from = one.now
    one:run(12, rush)
    near(500, one:count(from, from + 12) / 12, 1, 'jumping')
    each_second(one, from, 12, 500, 5, 'jumping')
  end)

  it('refuses nobody below it', function()
    for what, rate in pairs { even = function() return 150 end, jumping = jumping(450) } do
      local one, random = world(3, 500, 100, 3)
      one:run(15, load(one, random, rate))
      local refused = 0
      for _, gateway in pairs(one.list) do refused = refused + gateway.refused end
      assert.is_true(refused <= #one.admitted / 1000, what .. ': ' .. refused)
    end
  end)

  it('gives one burst, though it is asked for two at each gateway at once', function()
    for _, number in ipairs { 3, 10 } do
      for _, burst in ipairs { 50, 100, 500 } do
        local one = world(4, 500, burst, number)
        one:run(0.005, function()
          for i = 1, number do
            for _ = 1, burst / 10 do one:ask(i) end
          end
        end)
        one:run(0.1)
        assert.is_true(#one.admitted <= 1.1 * burst + 3 and #one.admitted >= 0.9 * burst, #one.admitted .. ' of ' .. burst)
      end
    end
  end)

  it('admits a rate of few, and what one bucket would', function()
    local one, random = world(5, 10, 10, 3)
    local rush = load(one, random, function() return 10 end)
    one:run(3, rush)
    local from = one.now
    one:run(30, rush)
    near(10, one:count(from, from + 30) / 30, 1, '10/s')
    local below, dice = world(6, 10, 10, 3)
    local exact, slot = token_bucket.new({ count = 10, window = 1, burst = 10 }), { at = 0, idle_at = 0 }
    local ideal, ask = 0, below.ask
    function below:ask(i)
      if exact:take(slot, self.now, 1) then ideal = ideal + 1 end
      return ask(self, i)
    end
    below:run(60, load(below, dice, function() return 3 end))
    assert.is_true(#below.admitted >= ideal - 2, #below.admitted .. ' of ' .. ideal)
  end)

  it('is shared out while Redis is away, at once, and whole again when it is back', function()
    for _, over in ipairs { 1.8, 6 } do
      local one, random = world(7, 500, 100, 3)
      local rush = load(one, random, function() return 500 * over / 3 end)
      one:run(3, rush)
      local from = one.now
      one.is_away = true
      one:run(5, rush)
      for i = 1, 3 do
        for second = 0, 4 do
          near(500 / 3, one:count(from + second, from + second + 1, i), 5, 'gateway ' .. i .. ', second ' .. second)
        end
      end
      one.is_away = false
      one:run(5, rush)
      near(500, one:count(from + 5, from + 10) / 5, 1, 'after it')
      each_second(one, from + 5, 5, 500, 5, 'after it')
    end
  end)

  it('is as it was when Redis comes back empty', function()
    local one, random = world(8, 500, 100, 3)
    local rush = load(one, random, function() return 500 end)
    one:run(2, rush)
    local from = one.now
    one.is_away = true
    one:run(1, rush)
    for key in pairs(one.store) do one.store[key] = nil end
    one.is_away = false
    one:run(3, rush)
    near(500, one:count(from, from + 4) / 4, 2, 'over all')
  end)

  it('does not notice a gateway that leaves, or one that joins', function()
    local one, random = world(9, 500, 100, 3)
    local rush = load(one, random, function() return 400 end)
    one:run(3, rush)
    local from = one.now
    one.list[3].gone = true
    one:run(4, rush)
    one:join(3)
    one:run(4, rush)
    each_second(one, from, 8, 500, 5, 'leaving and joining')
  end)

  it('goes on when the clock of Redis is set', function()
    for _, step in ipairs { -3600, 3600 } do
      local one, random = world(10, 500, 100, 3)
      local rush = load(one, random, function() return 400 end)
      one:run(2, rush)
      local from = one.now
      one.redis_ahead = one.redis_ahead + step
      one:run(3, rush)
      local admitted = one:count(from, from + 3)
      -- Set forward it looks as if nobody had come for an hour: one burst.
      assert.is_true(admitted >= 1470 and admitted <= (step > 0 and 1630 or 1530), step .. ': ' .. admitted)
    end
  end)

  it('never admits more than rate × time + 2 × burst + gateways, whatever happens but a clock that is set forward', function()
    for seed = 1, 40 do
      local random = tools.random(seed)
      local number, burst = random(6), ({ 1, 5, 20, 100, 300 })[random(5)]
      local count = ({ 5, 50, 500 })[random(3)]
      local one = world(seed + 100, count, burst, number, ({ 1, 5, 20 })[random(3)])
      one.loses = random(4) == 1 and 100 or 0
      for _ = 1, 8 do
        local rates = {}
        for i = 1, number do
          rates[i] = random(3) == 1 and 0 or count * random(300) / 100 / number * (random(4) == 1 and 5 or 1)
        end
        if random(5) == 1 then one.redis_ahead = one.redis_ahead - random(100) end
        one.is_away = random(4) == 1
        one:run(random(100) / 80, load(one, random, function(i) return rates[i] or 0 end))
      end
      assert.is_true(one:excess() <= 2 * burst + number + 0.01 * #one.list, ('seed %d: %.1f of burst %d, %d gateways'):format(
        seed, one:excess(), burst, number
      ))
    end
  end)
end)

describe('what a gateway owes', function()
  local bucket = cluster_bucket.new({ count = 10, window = 1, burst = 10 })
  local slot = gateways.new_slot

  it('is sent once, and again when no answer came', function()
    local one = slot()
    for _ = 1, 3 do assert.equal(0, (bucket:take(one, 1000, 1, 1, false))) end
    assert.same({ 3, 0.5, -1000.5, false }, { bucket:send(one, 1000.5) })
    assert.is_nil(bucket:send(one, 1000.5))
    bucket:take(one, 1000.6, 1, 1, false)
    bucket:take_back(one, 3, 0.5, 1000.5)
    assert.same({ 4, 1, -1001, false }, { bucket:send(one, 1001) })
    bucket:confirm(one, 1001, 4, 0.4, 2)
    assert.same({ 0, 0, 2 }, { one.spent, one.before, one.users })
    assert.equal(1001.4, one.at)
  end)

  it('is as old as the oldest of it, whichever worker has it back first', function()
    for _, second_first in ipairs { true, false } do
      local one = slot()
      bucket:take(one, 1000, 1, 1, false)
      local first = { bucket:send(one, 1001) }
      bucket:take(one, 1001.2, 1, 1, false)
      local second = { bucket:send(one, 1001.5) }
      bucket:take(one, 1001.7, 1, 1, false)
      if second_first then bucket:take_back(one, second[1], second[2], 1001.5) end
      bucket:take_back(one, first[1], first[2], 1001)
      if not second_first then bucket:take_back(one, second[1], second[2], 1001.5) end
      local amount, age = bucket:send(one, 1002)
      assert.same({ 3, 2 }, { amount, age })
    end
  end)

  it('is sent by another worker if the one that had sent it has died', function()
    local one = slot()
    bucket:take(one, 1000, 1, 1, false)
    bucket:send(one, 1000)
    assert.is_nil(bucket:send(one, 1001.9))
    assert.is_true(cluster_bucket.is_owing(one, 1002.1))
    assert.equal(1, (bucket:send(one, 1002.1)))
  end)

  it('is not what was given back', function()
    local one = slot()
    bucket:take(one, 1000, 2, 3, false)
    bucket:give(one, 2, 3, false)
    assert.is_nil(bucket:send(one, 1000))
    assert.same({ 10, 0 }, { bucket:left(one, 1000) })
  end)

  it('goes to its share of the burst until Redis has answered, though one request always passes', function()
    local one = slot()
    for _ = 1, 3 do assert.equal(0, (bucket:take(one, 1000, 1, 3, false))) end
    assert.same({ nil, 0.01, true }, { bucket:take(one, 1000, 1, 3, false) })
    local large = slot()
    assert.equal(0, (bucket:take(large, 1000, 9, 3, false)))
    assert.is_nil((bucket:take(large, 1000, 1, 3, false)))
  end)

  it('is a bucket of its own while Redis is away', function()
    local one, admitted = slot(), 0
    for step = 0, 9999 do
      if bucket:take(one, 1000 + step / 1000, 1, 4, true) then admitted = admitted + 1 end
    end
    -- 10 s of a quarter, and a quarter of the burst.
    assert.is_true(admitted == 27 or admitted == 28, admitted)
  end)
end)
