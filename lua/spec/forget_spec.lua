package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local tools = require 'tools'
local counters = require 'ebbgate.worker.count.counters'
local keys = require 'ebbgate.core.keys'
local metrics = require 'ebbgate.core.metrics'
local live = require 'ebbgate.worker.live'
local store = require 'ebbgate.worker.follow.store'
local request_counts = require 'ebbgate.worker.count.request_counts'

local function collect()
  collectgarbage()
  collectgarbage()
end

local function size(map)
  local count = 0
  for _ in pairs(map) do count = count + 1 end
  return count
end

describe('the counters of a worker', function()
  local function member(service, version) return { id = 'a', service = service, version = version } end

  it('are kept for as long as somebody may count on them, and no longer', function()
    local dict = host.dictionary()
    local subject = counters.new(dict)
    for i = 1, 100 do subject:request(member('shop', 'v' .. i), 200, 7) end
    collect()
    assert.equal(100, size(subject.series))
    subject:flush()
    for i = 1, 100 do
      assert.equal(1, dict:get(metrics.key(metrics.version_requests, 'shop', 'v' .. i)))
      assert.equal(7, dict:get(metrics.key(metrics.version_ms, 'shop', 'v' .. i)))
    end
    collect()
    assert.equal(0, size(subject.series))
  end)

  it('cost a request no write to shared memory', function()
    local dict = host.dictionary()
    local subject, one = counters.new(dict), member('shop', 'v1')
    for _ = 1, 10 do
      subject:request(one, 200, 7)
      subject:retry(one)
      subject:exhausted(one)
    end
    assert.same({}, dict:get_keys())
    subject:flush()
    assert.equal(10, dict:get(metrics.key(metrics.retries, 'shop')))
    assert.equal(10, dict:get(metrics.key(metrics.budget_exhausted, 'shop')))
  end)

  it('of one version are added up once, whoever counts', function()
    local dict = host.dictionary()
    local subject = counters.new(dict)
    local old, new = member('shop', 'v1'), member('shop', 'v1')
    subject:request(old, 200, 1)
    subject:flush()
    collect()
    for _ = 1, 3 do
      subject:request(old, 500, 1)
      subject:request(new, 200, 1)
      subject:flush()
    end
    assert.equal(7, dict:get(metrics.key(metrics.version_requests, 'shop', 'v1')))
    assert.equal(3, dict:get(metrics.key(metrics.version_errors, 'shop', 'v1')))
  end)
end)

describe('a service that is gone', function()
  local sets, generation

  local function publish(name, peers)
    generation = generation + 1
    local document = peers
      and '{"v":1,"service":"' .. name .. '","balancer":{"algorithm":"random"},'
        .. '"timeouts":{"connect_ms":1,"send_ms":1,"read_ms":1},'
        .. '"retry":{"tries":2},"health":{"max_fails":0,"fail_timeout_ms":1},"peers":[{"id":"a","host":"10.0.0.1","port":80,'
        .. '"version":"v1","weight":1,"down":false,"state":"up"}]}'
      or '{"v":1,"service":"' .. name .. '","removed":true}'
    assert(sets:share(name, { epoch = 1, generation = generation, hash = tools.sha1(document), payload = document }, true))
  end

  before_each(function()
    generation = 0
    local dicts = {}
    for _, name in ipairs { 'sets', 'inflight', 'metrics', 'state', 'health' } do dicts[name] = host.dictionary() end
    dicts.sets:safe_set(keys.sets.last_stamp, 0)
    dicts.inflight:safe_set(keys.inflight.made, 0)
    live.start({ dicts = dicts, incarnation = nginx.living(), tools = tools, max_tries = 5, access_log = false, zone = '' })
    sets = store.new(dicts.sets, nil, function() return true end)
    sets.disk = { remove = function() return true end }
  end)

  it('leaves the worker with its last request', function()
    publish('shop', true)
    publish('stays', true)
    local entry = live.entry('shop')
    assert(live.upstream(entry) and live.upstream(live.entry('stays')))
    local member, counter = live.enter(entry)
    assert.equal('a', member.id)
    publish('shop', nil)
    live.forget()
    assert.equal(entry, live.entries.shop)
    publish('shop', true)
    assert.equal(member.peer, live.upstream(entry).by_id.a.peer)
    sets:remove('shop')
    live.forget()
    assert.equal(entry, live.entries.shop)
    live.leave(member, counter)
    live.forget()
    assert.is_nil(live.entries.shop)
    assert.is_truthy(live.entries.stays)
    publish('shop', true)
    assert.is_truthy(live.upstream(live.entry('shop')))
  end)

  it('leaves it though nobody asks for it any more, by a tombstone too', function()
    for i = 1, 50 do
      publish('s' .. i, true)
      live.upstream(live.entry('s' .. i))
    end
    for i = 1, 50 do
      if i % 2 == 0 then publish('s' .. i, nil) else sets:remove('s' .. i) end
    end
    live.forget()
    assert.equal(0, size(live.entries))
  end)
end)

describe('the series of the gateway', function()
  it('go with their instance and service, those of a version an hour later', function()
    local dict = host.dictionary()
    local known = { shop = { ids = { a = true }, versions = { v1 = true } } }
    local subject = request_counts.new(dict, function(service) return known[service] end)
    local function count()
      for _, one in ipairs {
        { metrics.requests, 'shop', 'v1', 'a', '2xx' }, { metrics.requests, 'shop', 'v0', 'z', '2xx' },
        { metrics.version_requests, 'shop', 'v0' }, { metrics.version_requests, 'gone', 'v0' },
        { metrics.retries, 'gone' }, { metrics.probes, 'gone', 'pass' }, { metrics.sync_error, 'redis' },
      } do dict:safe_set(metrics.key(unpack(one)), 1) end
    end
    count()
    subject:sweep(0)
    local left = { metrics.key(metrics.requests, 'shop', 'v1', 'a', '2xx'), metrics.key(metrics.sync_error, 'redis') }
    assert.same({ left[1], left[2], metrics.key(metrics.version_requests, 'shop', 'v0') }, dict:get_keys())
    subject:sweep(3600)
    assert.same(left, dict:get_keys())
    subject:sweep(3610)
    assert.same({}, subject.absent)
  end)
end)
