package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local tools = require 'tools'
local host = nginx.install()
-- The connection alone is what a spec has none of.
package.loaded['ebbgate.worker.follow.redis'] = { script = function(connection, _, count, arguments)
  return connection(count, arguments)
end }
local clock = require 'ebbgate.worker.clock'
local exchange = require 'ebbgate.worker.limit.exchange'
local limits = require 'ebbgate.worker.limit.limits'
local memory = require 'ebbgate.worker.limit.memory'

host.ngx.sha1_bin = function(text)
  return (tools.sha1(text):gsub('..', function(hex) return string.char(tonumber(hex, 16)) end))
end
clock.fresh = clock.now

local RULE = {
  name = 'all', algorithm = 'token_bucket', scope = 'cluster', key = { 'header:X-User' }, rate = '10/s', burst = 9, queue = 0,
  cost = 1, status = 429, mode = 'enforce', exempt = {}, routes = {},
}

--- A gateway with a memory of its own: {policy, exchange, memory, calls, answer}. `answer(count, arguments)` is what Redis says,
--- or nil and why not; `calls` are the arguments of all calls.
local function gateway()
  local self = { calls = {}, memory = memory.at(memory.map(65536)) }
  --- Everything was added to empty buckets, and there are three gateways.
  function self.answer(count, arguments)
    local said = { tostring((host.time + 5) * 1e6), '3' }
    for i = 1, count - 1 do said[2 * i + 1], said[2 * i + 2] = arguments[count + 5 * i - 1], '1' end
    return said
  end
  local function connection(count, arguments)
    self.calls[#self.calls + 1] = arguments
    return self.answer(count, arguments)
  end
  self.exchange = exchange.new({
    redis = { run = function(_, work) return work(connection) end }, memory = self.memory, state = host.dictionary(),
    id = 'edge-1',
  })
  local counters = { limited = function() end }
  self.policy = limits.new(
    { service = 'shop', limits = { RULE } }, {}, { memory = self.memory, counters = counters, exchange = self.exchange }
  )
  return self
end

local function request(user) return { binary_remote_addr = '\10\0\0\1', http_x_user = user } end

--- Of so many requests how many pass.
local function ask(one, user, times)
  local admitted = 0
  for _ = 1, times do
    if not one.policy:admit(request(user)) then admitted = admitted + 1 end
  end
  return admitted
end

--- Lets time pass, and what waits for it.
local function pass(seconds)
  host.time = host.time + seconds
  host.run_timers()
end

describe('the exchange of limits that gateways share', function()
  before_each(function() host.timers, host.logged = {}, {} end)

  it('reports what was let through, in one call for all keys, once it knows the clock of Redis', function()
    local one = gateway()
    assert.equal(2, ask(one, 'ann', 2))
    assert.equal(1, ask(one, 'ben', 1))
    pass(0.01)
    assert.equal(2, #one.calls)
    local first, second = unpack(one.calls)
    assert.same({ '{ebb}:limit:gateways', 'edge-1', '0', '1' }, first)
    assert.equal('{ebb}:limit:' .. tools.sha1('shop|all|3:ann'), second[2])
    assert.equal('{ebb}:limit:' .. tools.sha1('shop|all|3:ben'), second[3])
    assert.same({ 'edge-1', ('%.0f'):format((host.time + 5) * 1e6), '3', '200000.000' }, {
      second[4], second[5], second[6], second[7],
    })
    -- All is confirmed, so there is nothing more to report.
    pass(1)
    assert.equal(2, #one.calls)
    assert.equal(3, one.memory:sharers())
  end)

  it('asks at once when only Redis can allow more, and then allows it', function()
    local one = gateway()
    ask(one, 'ann', 1)
    pass(0.01)
    -- A third of the burst is the share of a key that nobody uses.
    host.time = host.time + 5
    assert.equal(3, ask(one, 'ben', 9))
    pass(0)
    assert.equal(6, ask(one, 'ben', 9))
  end)

  it('allows its share while Redis does not answer, says so once, and reports all of it when it does', function()
    local one = gateway()
    ask(one, 'ann', 1)
    pass(0.01)
    local answer = one.answer
    one.answer = function() return nil, 'closed' end
    local admitted = 0
    for _ = 1, 100 do
      admitted = admitted + ask(one, 'ben', 1)
      pass(0.1)
    end
    -- A third of 10/s for 10 s, and a third of the burst.
    assert.is_true(admitted >= 33 and admitted <= 37, admitted)
    assert.is_true(one.memory:is_away(host.time))
    assert.equal(1, #host.logged)
    one.answer = answer
    pass(0.2)
    assert.is_false(one.memory:is_away(host.time))
    local last = one.calls[#one.calls]
    assert.equal(admitted, tonumber(last[6]) / 100000)
    assert.is_true(tonumber(last[7]) > 9.5e6)
  end)

  it('reports again what came too late', function()
    local one = gateway()
    ask(one, 'ann', 1)
    pass(0.01)
    local answer = one.answer
    ask(one, 'ann', 2)
    one.answer = function() return { tostring((host.time + 900) * 1e6) } end
    pass(0.01)
    one.answer = answer
    pass(0.2)
    local last = one.calls[#one.calls]
    assert.equal('200000.000', last[6])
    -- The clock of Redis was set: it is known anew.
    assert.is_true(tonumber(last[4]) >= (host.time + 900) * 1e6 - 1)
  end)

  it('gives a sign of life when there is nothing to report, if some limit is shared', function()
    local one = gateway()
    host.time = host.time + 10
    one.exchange:tick(host.time)
    pass(0)
    assert.is_true(#one.calls >= 1)
    local idle = exchange.new({ state = host.dictionary(), memory = one.memory })
    idle:tick(host.time)
    assert.equal(0, #host.timers)
  end)

  it('splits what is more than a hundred keys', function()
    local one = gateway()
    for i = 1, 250 do ask(one, 'user-' .. i, 1) end
    pass(0.01)
    local counts = {}
    for i, call in ipairs(one.calls) do counts[i] = (#call - 4) / 6 end
    assert.same({ 0, 100, 100, 50 }, counts)
  end)
end)
