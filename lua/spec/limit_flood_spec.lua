-- One client that invents keys, at the size of the default memory for limits: 32 MB, which are 524,288 places.
local ffi = require 'ffi'
local siphash = require 'ebbgate.core.limit.siphash'
local slots = require 'ebbgate.core.limit.slots'
local token_bucket = require 'ebbgate.core.limit.token_bucket'

local PLACES = 2 ^ 19
local SECRET_HIGH, SECRET_LOW = 0x243f6a88, -2054262483

local function new_table()
  return slots.new(ffi.new(slots.DECLARATION .. '[?]', PLACES), PLACES)
end

--- Takes one token for a text.
local function take(limiter, kept, text, now)
  local high, low = siphash(text, SECRET_HIGH, SECRET_LOW)
  return limiter:take(kept:find(high, low, now), now, 1)
end

--- So many keys, 20,000 of them a second; every tenth request is of one of 1,000 clients who ask twice a second. The table, what
--- those had admitted, the seconds that it took, and the CPU time of each tenth of the flood.
local function flood(limiter, keys)
  local kept, admitted, costs, began = new_table(), 0, {}, os.clock()
  for n = 0, keys - 1 do
    local now = 1000 + n / 20000
    take(limiter, kept, 'invented-' .. n, now)
    if n % 10 == 0 and take(limiter, kept, 'client-' .. (n / 10) % 1000, now) then admitted = admitted + 1 end
    if (n + 1) % (keys / 10) == 0 then
      costs[#costs + 1] = os.clock() - began
      began = os.clock()
    end
  end
  return kept, admitted, keys / 20000, costs
end

describe('millions of invented keys', function()
  it('take no place of a key that still says something, where keys are idle again within seconds', function()
    -- One in two seconds: 40,000 keys say something at any time.
    local limiter = token_bucket.new({ count = 1, window = 2, burst = 1 })
    local kept, admitted, seconds, costs = flood(limiter, 2000000)
    -- Hashes fill some of the 65,536 sets of eight more than others: of those with 0.6 on average none has nine.
    assert.equal(0, kept.evicted)
    -- What 1,000 clients may have: a burst, and what comes back. No more, and hardly less.
    local most = 1000 * (1 + seconds / 2)
    assert.is_true(admitted <= most + 1 and admitted >= most * 0.9)
    -- No key costs more than the first ones: eight places are looked at, full or empty.
    assert.is_true(costs[10] < 4 * costs[2])
  end)

  it('give a client whose place they take one burst again, where keys say something for an hour', function()
    local limiter = token_bucket.new({ count = 1, window = 3600, burst = 1 })
    local kept, admitted = flood(limiter, 1000000)
    assert.is_true(kept.evicted > 1000000 - PLACES)
    -- Each time that a place was lost it was one burst; those who ask again soon are not the ones that are soonest idle.
    assert.is_true(admitted <= 1000 + kept.evicted)
    assert.is_true(admitted < 1000 * 12)
  end)
end)
