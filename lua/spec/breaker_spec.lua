package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local tools = require 'tools'
local breaker = require 'ebbgate.core.breaker'
local core = require 'ebbgate.core.health'
local keys = require 'ebbgate.core.keys'
local upstreams = require 'ebbgate.core.upstream'
local healths = require 'ebbgate.worker.health.health'
local results = require 'ebbgate.worker.health.results'

local ensure = tools.ensure

local USUAL = {
  max_fails = 0, fail_timeout_ms = 10000, fail_statuses = { 500 }, max_ejected_percent = 50, slow_start_ms = 0,
  consecutive_fails = 0, failure_percent = 0, slow_percent = 0, slow_ms = 0, min_requests = 20, window_ms = 10000,
  max_ejection_ms = 0,
}

local function settings(changes)
  local one = {}
  for name, value in pairs(USUAL) do one[name] = value end
  for name, value in pairs(changes or {}) do one[name] = value end
  return one
end

--- A gateway with one instance, and what it is found to be.
local function gateway(health)
  host.time, host.logged = 1000, {}
  local dict, counts = host.dictionary(), {}
  local entry = {
    service = 'shop', health_key = keys.health.changed('shop'), budget = false, latency = { median = 0, seen = 0 },
  }
  local peer = { id = 'a', host = '10.0.0.1', port = 1, version = 'v1', weight = 1, down = false, state = 'up' }
  local document = {
    kind = 'set', service = 'shop', balancer = { algorithm = 'weighted_round_robin' }, retry = { tries = 1 },
    timeouts = { connect_ms = 500, send_ms = 1000, read_ms = 1000 }, health = health, peers = { peer },
  }
  local subject
  local function build()
    entry.upstream = upstreams.build(document, 'w', entry.upstream, {}, 0, subject:view(entry, document))
  end
  subject = healths.new({
    dict = dict, incarnation = nginx.living(), mutex = nginx.mutex(), zone = '', max_tries = 5, rebuild = build,
    counters = { add = function(_, _, _, _, kind) counts[#counts + 1] = kind end }, is_safe = function() return true end,
  })
  build()
  local self = { entry = entry, dict = dict, counts = counts, name = keys.health.name('shop', peer) }
  function self.member() return entry.upstream.by_id.a end
  function self.record() return core.unpack_passive(dict:get(keys.health.passive(self.name))) end
  --- A request that ended: what it came to, and how long it took in milliseconds.
  function self.ended(status, ms, lease)
    if self.member().watch then return subject:result(entry, self.member(), status, ms and ms * 1000, lease) end
    subject:outcome(entry, self.member(), status, lease)
  end
  --- A half-open request, if there may be one now: its lease.
  function self.half_open()
    build()
    if not entry.upstream.half_open then return nil end
    self.member().ask_at = 0
    local _, lease = subject.half_open:take(entry, entry.upstream, 1)
    return lease
  end
  function self.state()
    build()
    local condition = self.member().condition
    return condition and condition.state or 'well'
  end
  return self
end

describe('results', function()
  it('are counted in one number, as far as it goes', function()
    local sum = 0
    for _ = 1, 70 do sum = sum + breaker.result(false, false) end
    for _ = 1, 20 do sum = sum + breaker.result(true, false) end
    for _ = 1, 7 do sum = sum + breaker.result(false, true) end
    for _ = 1, 3 do sum = sum + breaker.result(true, true) end
    assert.same({ 100, 23, 10 }, { breaker.counted(sum) })
    local most = (breaker.MOST + 31000) * breaker.result(true, true)
    assert.same({ 131000, 131000, 131000 }, { breaker.counted(most) })
  end)

  it('are of the last ten buckets, of all workers', function()
    host.time = 1000
    local dict = host.dictionary()
    local one, two = results.new(dict, 'x|a|b', 10), results.new(dict, 'x|a|b', 10)
    for _ = 1, 10 do
      one:add(breaker.result(true, false), host.time)
      two:add(breaker.result(false, true), host.time)
      host.time = host.time + 1
    end
    assert.same({ 18, 9, 9 }, { one:sum(host.time) })
    host.time = host.time + 8
    assert.same({ 2, 1, 1 }, { two:sum(host.time) })
    one:forget(host.time)
    assert.same({ 0, 0, 0 }, { two:sum(host.time) })
  end)

  it('end where the number would', function()
    host.time = 1000
    local one = results.new(host.dictionary(), 'x|a|b', 60)
    for _ = 1, breaker.MOST + 50000 do one:add(breaker.result(true, true), host.time) end
    assert.same({ breaker.MOST, breaker.MOST, breaker.MOST }, { one:sum(host.time) })
  end)
end)

describe('the median', function()
  it('is near half of what goes by, whatever it began with, and follows', function()
    for seed = 1, 30 do
      local random, known = tools.random(seed), { median = 0, seen = 0 }
      breaker.learn(known, seed % 2 == 0 and 1 or 1e7)
      for _ = 1, 3000 do breaker.learn(known, 20000 * (0.5 + random())) end
      ensure(known.median > 16000 and known.median < 24500, 'seed %d: %f', seed, known.median)
      for _ = 1, 3000 do breaker.learn(known, 200000 * (0.5 + random())) end
      ensure(known.median > 160000 and known.median < 245000, 'seed %d: %f', seed, known.median)
    end
  end)

  it('says nothing before it is known, nor of what the machine makes slow', function()
    local watch, known = { slow_after = false }, { median = 0, seen = 0 }
    for _ = 1, 49 do breaker.learn(known, 20000) end
    assert.is_false(breaker.is_slow(watch, known, 1e6))
    breaker.learn(known, 20000)
    assert.is_true(breaker.is_slow(watch, known, 1e6))
    assert.is_false(breaker.is_slow(watch, known, 52000))
    for _ = 1, 2000 do breaker.learn(known, 300) end
    assert.is_false(breaker.is_slow(watch, known, 9000))
    assert.is_true(breaker.is_slow({ slow_after = 5000 }, { median = 0, seen = 0 }, 6000))
  end)
end)

describe('an instance is ejected', function()
  it('by failures in a row, and not by as many with one between that went well', function()
    local shop = gateway(settings { consecutive_fails = 5 })
    for _ = 1, 20 do
      for _ = 1, 4 do shop.ended('error') end
      shop.ended(200)
    end
    assert.equal('well', shop.state())
    for _ = 1, 5 do shop.ended('timeout') end
    assert.equal('ejected', shop.state())
    assert.equal('5 failures in a row: timed out', shop.record().reason)
    assert.same({ 'consecutive_fails' }, shop.counts)
  end)

  it('by the part of requests that fail, once there are enough', function()
    local shop = gateway(settings { failure_percent = 50, min_requests = 20 })
    for _ = 1, 18 do shop.ended('error') end
    assert.equal('well', shop.state())
    shop.ended(200)
    shop.ended(500)
    assert.equal('ejected', shop.state())
    assert.equal('95% of 20 requests failed within 10 s', shop.record().reason)
    shop = gateway(settings { failure_percent = 50 })
    for _ = 1, 500 do
      shop.ended(200)
      shop.ended(200)
      shop.ended('error')
    end
    assert.equal('well', shop.state())
  end)

  it('by the part of requests that are slow: slower than a bound, or than 3 times the median', function()
    local shop = gateway(settings { slow_percent = 30, slow_ms = 50 })
    for _ = 1, 15 do shop.ended(200, 40) end
    for _ = 1, 5 do shop.ended(200, 60) end
    assert.equal('well', shop.state())
    for _ = 1, 2 do shop.ended(200, 60) end
    assert.equal('ejected', shop.state())
    assert.equal('32% of 22 requests were slow within 10 s', shop.record().reason)
    assert.same({ 'slow_percent' }, shop.counts)
    shop = gateway(settings { slow_percent = 30 })
    for _ = 1, 60 do shop.ended(200, 20) end
    for _ = 1, 100 do shop.ended(200, 50) end
    assert.equal('well', shop.state())
    shop = gateway(settings { slow_percent = 30, window_ms = 1000 })
    for _ = 1, 400 do shop.ended(200, 20) end
    host.time = host.time + 2
    for _ = 1, 60 do shop.ended(200, 20) end
    for _ = 1, 26 do shop.ended(200, 100) end
    assert.equal('ejected', shop.state())
  end)

  it('for longer and longer, up to the most, never all gateways for equally long', function()
    local lasted = {}
    for seed = 1, 20 do
      local shop = gateway(settings { max_fails = 1, max_ejection_ms = 60000 })
      shop.ended('error')
      ensure(shop.record().until_at - host.time == 10, 'the first lasts fail_timeout')
      for level = 2, 6 do
        host.time = shop.record().until_at
        shop.ended('error', nil, shop.half_open())
        local record = shop.record()
        local took, fixed = record.until_at - host.time, math.min(10 * 2 ^ (level - 1), 60)
        ensure(record.level == level, 'level %d', record.level)
        ensure(took >= fixed - 0.01 and took <= math.min(2 * fixed, 60) + 0.01, 'seed %d: %f at %d', seed, took, level)
        if level == 2 then lasted[string.format('%.3f', took)] = true end
      end
    end
    local count = 0
    for _ in pairs(lasted) do count = count + 1 end
    assert.is_true(count > 10)
  end)

  it('again by a half-open request that is slow', function()
    local shop = gateway(settings { slow_percent = 30, slow_ms = 50, min_requests = 5 })
    for _ = 1, 5 do shop.ended(200, 60) end
    host.time = shop.record().until_at
    shop.ended(200, 60, shop.half_open())
    assert.equal('the half-open request failed, ejection 2 in a row: slow', shop.record().reason)
    host.time = shop.record().until_at
    shop.ended(200, 10, shop.half_open())
    assert.equal('well', shop.state())
  end)

  it('afresh: what was counted before it came back counts no more', function()
    local shop = gateway(settings {
      max_fails = 3, consecutive_fails = 3, failure_percent = 50, min_requests = 3, max_ejection_ms = 500,
    })
    for _ = 1, 3 do shop.ended('error') end
    host.time = shop.record().until_at
    shop.ended(200, nil, shop.half_open())
    assert.equal('well', shop.state())
    for _ = 1, 2 do shop.ended('error') end
    assert.equal('well', shop.state())
    shop.ended('error')
    assert.equal('ejected', shop.state())
  end)
end)

--- The same in other words: lists of what ended when, and nothing shared.
local function reference(given)
  local self = { ended = {}, out = false, level = 0 }
  local function within(now, unit, most, field)
    local count, of = 0, 0
    for _, one in ipairs(self.ended) do
      if math.floor(one.at / unit) > math.floor(now / unit) - most then
        of = of + 1
        if one[field] then count = count + 1 end
      end
    end
    return count, of
  end
  function self.result(now, failed, slow)
    self.ended[#self.ended + 1] = { at = now, failed = failed, slow = slow }
    if self.out or not (failed or slow) then return end
    local row = 0
    for i = #self.ended, 1, -1 do
      if not self.ended[i].failed then break end
      row = row + 1
    end
    local unit = given.window_ms / 10000
    local fails, requests = within(now, unit, 10, 'failed')
    local lates = within(now, unit, 10, 'slow')
    local recent = within(now, given.fail_timeout_ms / 8000, 8, 'failed')
    self.out = failed and given.max_fails > 0 and recent >= given.max_fails
      or failed and given.consecutive_fails > 0 and row >= given.consecutive_fails
      or requests >= given.min_requests
        and (given.failure_percent > 0 and fails * 100 >= given.failure_percent * requests
          or given.slow_percent > 0 and lates * 100 >= given.slow_percent * requests)
  end
  function self.half_open_ended(failed, slow)
    if failed or slow then return end
    self.out, self.ended = false, {}
  end
  return self
end

describe('the states of an instance', function()
  it('are those of the reference, over random histories', function()
    local ejected, back = 0, 0
    for seed = 1, 400 do
      local random = tools.random(seed)
      local given = settings {
        max_fails = random(2) == 1 and random(6) or 0, consecutive_fails = random(2) == 1 and random(6) or 0,
        failure_percent = random(2) == 1 and random(100) or 0, slow_percent = 1 + random(99), slow_ms = 50,
        min_requests = random(30), window_ms = 1000 * random(12), fail_timeout_ms = 250 * random(40),
      }
      local shop, other = gateway(given), reference(given)
      local badness = random() * random()
      for _ = 1, 150 do
        host.time = host.time + random() * random() * 0.5
        local failed, slow = random() < badness, random() < badness / 2
        local lease = shop.state() == 'half_open' and random(3) == 1 and shop.half_open()
        shop.ended(failed and 'error' or 200, slow and 60 or 10, lease or nil)
        if lease then
          other.half_open_ended(failed, slow)
          if not other.out then back = back + 1 end
        else
          local before = other.out
          other.result(host.time, failed, slow)
          if other.out and not before then ejected = ejected + 1 end
        end
        local state = shop.state()
        ensure((state == 'ejected' or state == 'half_open') == other.out, 'seed %d: %s', seed, state)
        if random(20) == 1 and shop.record() then host.time = math.max(host.time, shop.record().until_at) end
      end
    end
    ensure(ejected > 300 and back > 200, '%d ejections, %d came back', ejected, back)
  end)
end)
