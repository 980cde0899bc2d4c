package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local tools = require 'tools'
local service_breaker = require 'ebbgate.worker.service_breaker'
local policies = require 'ebbgate.worker.policies'
local healths = require 'ebbgate.worker.health.health'

local ensure = tools.ensure

--- A gateway of so many workers, each with its policy of the service.
local function gateway(given, workers, forced)
  host.time, host.logged = 1000, {}
  local dict, counts = host.dictionary(), 0
  local breaker = { failure_percent = 50, min_requests = 20, window_ms = 10000, fail_statuses = { 503 }, fallback = '' }
  for name, value in pairs(given or {}) do breaker[name] = value end
  local document = { service = 'shop', breaker = breaker, breaker_forced = forced or false }
  local list, named = {}, 0
  for i = 1, workers or 1 do
    local health = healths.new({
      dict = dict, counters = {}, incarnation = i .. '.1', zone = '', max_tries = 5, mutex = nginx.mutex(),
    })
    local counters = { add = function() counts = counts + 1 end }
    list[i] = policies.of(document, {}, { health = health, counters = counters }, { service_breaker })
  end
  local self = { list = list, dict = dict, document = document }
  --- A request that comes to worker `i`: it, or nil and the code of the refusal.
  function self.begin(i)
    named = named + 1
    local request = { request_id = tostring(named) }
    local code = policies.refusal(list[i or 1], request)
    if code then return nil, code end
    return request
  end
  function self.finish(request, came_to, i) policies.finish(list[i or 1], {}, request, came_to) end
  function self.ended(came_to, times, i)
    for _ = 1, times or 1 do self.finish(self.begin(i), came_to, i) end
  end
  function self.is_open() return (service_breaker.read(dict, 'shop')) ~= nil end
  function self.openings() return counts end
  return self
end

describe('the breaker of a service', function()
  it('is none of a set that wants none', function()
    local parts = { health = {}, counters = {} }
    assert.is_nil(service_breaker.new({ service = 'shop' }, {}, parts))
    assert.is_nil(service_breaker.new({ service = 'shop', breaker_forced = 'closed' }, {}, parts))
    assert.is_nil(service_breaker.new({ service = 'shop', breaker = { failure_percent = 0 } }, {}, parts))
  end)

  it('opens when enough of its requests fail, and says why', function()
    local shop = gateway()
    shop.ended(200, 8)
    shop.ended('failed', 6)
    shop.ended(503, 5)
    assert.is_false(shop.is_open())
    shop.ended('failed')
    assert.same({ 1000, '60% of 20 requests failed within 10 s' }, { service_breaker.read(shop.dict, 'shop') })
    assert.same({ nil, 'breaker_open' }, { shop.begin() })
    assert.equal(1, shop.openings())
  end)

  it('counts what no instance is to blame for to nobody', function()
    local shop = gateway()
    shop.ended(nil, 1000)
    shop.ended(404, 30)
    shop.ended(500, 30)
    assert.is_false(shop.is_open())
  end)

  it('lets one request a second through, of all workers, and closes when one is answered', function()
    local shop = gateway(nil, 3)
    shop.ended('failed', 20, 2)
    for second = 1, 10 do
      for tenth = 1, 10 do
        host.time = 1000 + second + (tenth - 1) / 10
        local passed = 0
        for worker = 1, 3 do
          local request = shop.begin(worker)
          if request then
            passed = passed + 1
            shop.finish(request, second < 10 and 'failed' or 200, worker)
          end
        end
        ensure(passed == (second == 10 and 3 or tenth == 1 and 1 or 0), 'second %d.%d: %d passed', second, tenth - 1, passed)
        if second == 10 then break end
      end
    end
    assert.is_false(shop.is_open())
    -- It begins to count anew, with what the other two have let through.
    shop.ended('failed', 17)
    assert.is_false(shop.is_open())
    shop.ended('failed')
    assert.is_true(shop.is_open())
  end)

  it('is not closed by what began before it opened, nor by what says nothing', function()
    local shop = gateway()
    local early = shop.begin()
    shop.ended('failed', 20)
    shop.finish(early, 200)
    assert.is_true(shop.is_open())
    host.time = 1001
    shop.finish(shop.begin(), nil)
    assert.is_true(shop.is_open())
    host.time = 1002
    -- One that hangs delays no other, and says nothing of an opening after its own.
    local hanging = shop.begin()
    host.time = 1003
    shop.ended(200)
    assert.is_false(shop.is_open())
    shop.ended('failed', 20)
    shop.finish(hanging, 200)
    assert.is_true(shop.is_open())
  end)

  it('is as an operator says', function()
    local shop = gateway(nil, 1, 'open')
    assert.same({ nil, 'breaker_open' }, { shop.begin() })
    host.time = 2000
    assert.same({ nil, 'breaker_open' }, { shop.begin() })
    assert.is_false(gateway(nil, 1, 'closed').list[1])
  end)
end)
