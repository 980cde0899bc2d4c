package.path = 'lua/spec/?.lua;' .. package.path
local heartbeat = require 'ebbgate.core.heartbeat'
local histogram = require 'ebbgate.core.histogram'
local tools = require 'tools'

describe('the heartbeat', function()
  it('has the bytes of the contract', function()
    assert.equal(tools.example('heartbeat'), heartbeat.encode({
      id = 'gw-1', boot = '6f1c2a9e4b7d8035', host = 'edge-1', seq = 42, workers = 2, started = 1795000000,
      applied = { epoch = 1795000000, generation = 17 },
      rejected = { billing = { generation = '12', code = 'hash_mismatch' } },
      in_flight = { ['orders|10.0.1.8:8080'] = 3 }, contracts = { 1, 2 }, uncounted = 0,
    }, tools.quote))
  end)

  it('reports health in the bytes of the contract', function()
    assert.equal(tools.example('heartbeat_health'), heartbeat.encode({
      id = 'gw-1', boot = '6f1c2a9e4b7d8035', host = 'edge-1', seq = 43, workers = 2, started = 1795000000,
      applied = { epoch = 1795000000, generation = 17 }, rejected = {}, in_flight = {}, contracts = { 1, 2 }, uncounted = 0,
      health = {
        ['orders|10.0.1.7:8080'] = {
          state = 'ejected', reason = '3 failures within 10 s: connection failed or broken', since = 1795000100,
        },
        ['orders|10.0.1.8:8080'] = { state = 'failing', reason = '3 checks failed: status 500', since = 1795000090 },
        ['orders|10.0.2.9:8080'] = { state = 'warming', reason = 'slow start over 30 s', since = 1795000110 },
        ['stock|10.0.3.1:8080'] = {
          state = 'half_open', reason = 'the half-open request failed, ejection 2 in a row: timed out', since = 1795000050,
        },
      },
      unlisted = 12, panic = { 'billing', 'stock' },
    }, tools.quote))
  end)

  it('reports breakers in the bytes of the contract', function()
    assert.equal(tools.example('heartbeat_breakers'), heartbeat.encode({
      id = 'gw-1', boot = '6f1c2a9e4b7d8035', host = 'edge-1', seq = 45, workers = 2, started = 1795000000,
      applied = { epoch = 1795000000, generation = 17 }, rejected = {}, in_flight = {}, contracts = { 1, 2 }, uncounted = 0,
      breakers = { orders = { state = 'open', reason = '62% of 40 requests failed within 10 s', since = 1795000300 } },
    }, tools.quote))
  end)

  it('reports problems in the bytes of the contract', function()
    assert.equal(tools.example('heartbeat_problems'), heartbeat.encode({
      id = 'gw-1', boot = '6f1c2a9e4b7d8035', host = 'edge-1', seq = 44, workers = 2, started = 1795000000,
      applied = { epoch = 1795000000, generation = 17 },
      rejected = { billing = { generation = '12', code = 'too_large' } }, in_flight = {}, contracts = { 1, 2 }, uncounted = 0,
      problems = {
        { kind = 'disk', reason = 'No space left on device', since = 1795000200 },
        { kind = 'memory', reason = 'ebb_sets has no free page left: raise its size', since = 1795000210 },
        { kind = 'rejected', reason = '1 set is kept out: billing (too_large)', since = 1795000211 },
      },
    }, tools.quote))
  end)

  it('is null and empty before the first catch-up', function()
    local text = heartbeat.encode({
      id = 'g', boot = 'b', host = 'h', seq = 0, workers = 1, started = 1, rejected = {}, in_flight = {},
      contracts = { 1, 2 }, uncounted = 2,
    }, tools.quote)
    assert.truthy(text:find('"applied":null,"rejected":[],"in_flight":{},"uncounted":2}', 1, true))
  end)

  it('writes large numbers in full', function()
    local text = heartbeat.encode({
      id = 'g', boot = 'b', host = 'h', seq = 2 ^ 53 - 1, workers = 1, started = 1, rejected = {}, in_flight = {},
      contracts = { 1, 2 }, uncounted = 0,
      applied = { epoch = 2 ^ 53 - 1, generation = 1e15 },
    }, tools.quote)
    assert.truthy(text:find('"seq":9007199254740991', 1, true))
    assert.truthy(text:find('{"epoch":9007199254740991,"generation":1000000000000000}', 1, true))
  end)
end)

describe('the counters', function()
  it('have the bytes of the contract', function()
    local buckets = {}
    for index = 1, histogram.SIZE do buckets[index] = 0 end
    buckets[7], buckets[8], buckets[histogram.SIZE] = 1100, 97, 1
    assert.equal(tools.example('stats'), heartbeat.encode_stats({ id = 'gw-1', boot = '6f1c2a9e4b7d8035', seq = 812 }, {
      orders = { v1 = { requests = 1200, errors = 3, ms = 8400, buckets = buckets } },
    }, tools.quote))
  end)

  it('say what limits did of late, in the bytes of the contract', function()
    local limits = {
      orders = { ['per-client'] = { admitted = 480, delayed = 7, refused = 20 }, all = { admitted = 50, refused = 450 } },
    }
    local beat = { id = 'gw-1', boot = '6f1c2a9e4b7d8035', seq = 813 }
    assert.equal(tools.example('stats_limits'), heartbeat.encode_stats(beat, {}, tools.quote, limits, 62.4))
    assert.is_nil(heartbeat.encode_stats(beat, {}, tools.quote, {}, 62):find('limits', 1, true))
  end)

  it('have the buckets of the contract', function()
    assert.same(tools.json(tools.example('latency_buckets')).bounds_ms, histogram.BOUNDS_MS)
  end)

  it('stay far below a megabyte: 200 services, three versions, every bucket in use', function()
    local services, full = {}, {}
    for index = 1, histogram.SIZE do full[index] = 123456789 end
    for n = 1, 200 do
      local versions = {}
      for v = 1, 3 do versions['v2026.11.' .. v] = { requests = 5e9, errors = 1e6, ms = 1e12, buckets = full } end
      services['a-service-with-a-name-' .. n] = versions
    end
    assert.is_true(#heartbeat.encode_stats({ id = 'gw-1', boot = 'b', seq = 1 }, services, tools.quote) < 500000)
  end)

  it('are an empty object without traffic', function()
    assert.truthy(heartbeat.encode_stats({ id = 'g', boot = 'b', seq = 1 }, {}, tools.quote):find('"services":{}}', 1, true))
  end)
end)
