package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local counters = require 'ebbgate.worker.count.counters'
local histogram = require 'ebbgate.core.histogram'
local request_counts = require 'ebbgate.worker.count.request_counts'

describe('what all workers counted', function()
  it('is the histogram of every version, with a bucket for each bound and those that are empty', function()
    local dict = host.dictionary()
    counters.prepare(dict)
    local first, second = counters.new(dict), counters.new(dict)
    local v1 = { id = 'a', service = 'shop', version = 'v1' }
    for _ = 1, 3 do first:request(v1, 200, 7) end
    first:request(v1, 500, 40000)
    first:request(v1, 101, nil)
    second:request({ id = 'b', service = 'shop', version = 'v1' }, 200, 7.5)
    second:request({ id = 'c', service = 'shop', version = 'v2' }, 200, 0.2)
    second:request({ id = '', service = '', version = '' }, 404, 1)
    first:flush()
    second:flush()
    local services = request_counts.new(dict, function() return nil end):versions()
    assert.is_nil(services[''])
    local shop = services.shop
    assert.same({ 6, 1, 40028 }, { shop.v1.requests, shop.v1.errors, shop.v1.ms })
    assert.equal(histogram.SIZE, #shop.v1.buckets)
    assert.same({ 4, 1 }, { shop.v1.buckets[histogram.bucket(7)], shop.v1.buckets[histogram.SIZE] })
    local sum = 0
    for _, n in ipairs(shop.v1.buckets) do sum = sum + n end
    assert.equal(5, sum)
    assert.equal(1, shop.v2.buckets[1])
  end)
end)
