package.path = 'lua/spec/?.lua;' .. package.path
local limiters = {
  token_bucket = require 'ebbgate.core.limit.token_bucket', leaky_bucket = require 'ebbgate.core.limit.leaky_bucket',
  fixed_window = require 'ebbgate.core.limit.fixed_window', sliding_window = require 'ebbgate.core.limit.sliding_window',
  concurrency = require 'ebbgate.core.limit.concurrency',
}
local tools = require 'tools'

local function new_slot() return { high = 0, low = 0, at = 0, spent = 0, before = 0, idle_at = 0 } end

--- What each algorithm says, counted another way: from a list of all that was admitted, or by its definition. Each gives
--- take(now, cost) → the wait, or nil. Times are multiples of 1/64 s and so exact.
local references = {}

function references.token_bucket(settings)
  local tokens, last = settings.burst, nil
  return function(now, cost)
    last = last or now
    -- A clock that was set back gives nothing, and takes nothing away.
    if now > last then
      tokens, last = math.min(settings.burst, tokens + (now - last) * settings.count / settings.window), now
    end
    -- What the bucket would have had at that earlier moment.
    local then_had = tokens - (last - now) * settings.count / settings.window
    if then_had < cost then return nil end
    tokens = tokens - cost
    return 0
  end
end

function references.leaky_bucket(settings)
  local interval, leaves = settings.window / settings.count, {}
  return function(now, cost)
    local free = leaves[#leaves] or now
    local begins = math.max(free, now)
    if begins - now > settings.queue * interval then return nil end
    leaves[#leaves + 1] = begins + cost * interval
    return begins - now
  end
end

function references.fixed_window(settings)
  local admitted, began = {}, nil
  return function(now, cost)
    if not began or now >= began + settings.window then admitted, began = {}, now end
    local sum = cost
    for _, one in ipairs(admitted) do sum = sum + one end
    if sum > settings.count then return nil end
    admitted[#admitted + 1] = cost
    return 0
  end
end

function references.sliding_window(settings)
  local counts, newest = {}, 0
  return function(now, cost)
    local index = math.max(newest, math.floor(now / settings.window))
    newest = index
    local over = math.max(0, now / settings.window - index)
    local used = (counts[index - 1] or 0) * (1 - over) + (counts[index] or 0)
    if used + cost > settings.count then return nil end
    counts[index] = (counts[index] or 0) + cost
    return 0
  end
end

local function settings_of(name, random)
  local window = ({ 1, 1, 4, 64 })[random(4)]
  local count = 2 ^ (random(6) - 1)
  return { count = count, window = window, burst = name == 'token_bucket' and random(20) or 0, queue = random(10) - 1 }
end

for name, limiter in pairs(limiters) do
  local reference = references[name]
  if reference then
    describe(name, function()
      it('admits what its definition admits, over random arrivals and clocks that are set back', function()
        for seed = 1, 300 do
          local random = tools.random(seed)
          local settings = settings_of(name, random)
          local one, slot, exact = limiter.new(settings), new_slot(), reference(settings)
          local now = random(1000000) / 64
          for step = 1, 300 do
            local cost = random(10) == 1 and random(3) or 1
            now = now + (random(12) == 1 and -random(64) or random(4) - 1) / 64
            now = math.max(now, 1)
            local expected, wait = exact(now, cost), (one:take(slot, now, cost))
            if expected ~= wait then
              assert.same({ seed, step, expected or 'refused' }, { seed, step, wait or 'refused' })
            end
          end
        end
      end)

      it('says when a request may be tried again: then it may, and a moment before it may not', function()
        for seed = 1, 300 do
          local random = tools.random(seed)
          local settings = settings_of(name, random)
          local one, slot, now = limiter.new(settings), new_slot(), random(1000000) / 64
          repeat
            local wait = one:take(slot, now, 1)
            now = now + random(3) / 256
          until not wait
          now = now - 0.001
          local wait, retry = one:take(slot, now, 1)
          if not wait then
            assert.is_true(retry > 0)
            assert.is_nil((one:take(slot, now + retry - 0.002 * settings.window / settings.count - 1e-6, 1)))
            assert.is_truthy((one:take(slot, now + retry + 1e-6, 1)), 'seed ' .. seed)
          end
        end
      end)

      it('has what was given back', function()
        for seed = 1, 200 do
          local random = tools.random(seed)
          local settings = settings_of(name, random)
          local one, slot, exact, now = limiter.new(settings), new_slot(), reference(settings), random(1000000) / 64
          for _ = 1, 100 do
            now = now + (random(4) - 1) / 64
            if random(2) == 1 then
              if one:take(slot, now, 1) then one:give(slot, 1) end
            else
              assert.equal(exact(now, 1), (one:take(slot, now, 1)))
            end
          end
        end
      end)

      it('says what is left: so many go, and not one more', function()
        for seed = 1, 200 do
          local random = tools.random(seed)
          local settings = settings_of(name, random)
          local one, slot, now = limiter.new(settings), new_slot(), random(1000000) / 64
          for _ = 1, random(40) do
            one:take(slot, now, 1)
            now = now + (random(4) - 1) / 64
          end
          local left, reset = one:left(slot, now)
          for _ = 1, left do assert.is_truthy((one:take(slot, now, 1))) end
          assert.is_nil((one:take(slot, now, 1)))
          assert.is_true(reset >= 0 and reset == math.floor(reset))
        end
      end)
    end)
  end
end

describe('a token bucket', function()
  it('admits no more than rate × time + burst in any time, whatever the arrivals', function()
    for seed = 1, 50 do
      local random = tools.random(seed)
      local settings = { count = random(500), window = 1, burst = random(100) }
      local one, slot, now, admitted = limiters.token_bucket.new(settings), new_slot(), 5000 + seed * 0.1, {}
      for _ = 1, 2000 do
        now = now + random(1000) / 1e6 * (random(20) == 1 and 50 or 1)
        if one:take(slot, now, 1) then admitted[#admitted + 1] = now end
      end
      for first = 1, #admitted, 7 do
        for last = first, #admitted, 11 do
          local most = settings.count * (admitted[last] - admitted[first]) + settings.burst + 0.01
          assert.is_true(last - first + 1 <= most, 'seed ' .. seed)
        end
      end
    end
  end)

  it('gives its whole burst at one moment, of any rate', function()
    for _, count in ipairs { 1, 3, 7, 99, 1000, 333333 } do
      local one, slot = limiters.token_bucket.new({ count = count, window = 60, burst = 1000 }), new_slot()
      for _ = 1, 1000 do assert.equal(0, (one:take(slot, 12345.678, 1))) end
      assert.is_nil((one:take(slot, 12345.678, 1)))
    end
  end)
end)

describe('a limit of open requests', function()
  it('counts those of the other workers too', function()
    local one, mine = limiters.concurrency.new({ burst = 3 }), new_slot()
    assert.equal(0, (one:take(mine, 1, 1, 2)))
    assert.is_nil((one:take(mine, 1, 1, 2)))
    assert.equal(0, (one:take(mine, 1, 1, 1)))
    assert.same({ 0, 1 }, { one:left(mine, 1, 1) })
    one:give(mine, 1)
    one:give(mine, 1)
    one:give(mine, 1)
    assert.equal(0, mine.spent)
    assert.same({ 3, 0 }, { one:left(mine, 1, 0) })
  end)

  it('counts what is only watched whatever is open', function()
    local one, mine = limiters.concurrency.new({ burst = 1 }), new_slot()
    one:count(mine, 1, 1)
    one:count(mine, 1, 1)
    assert.equal(2, mine.spent)
    assert.is_nil((one:take(mine, 1, 1, 0)))
  end)
end)
