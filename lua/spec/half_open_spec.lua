package.path = 'lua/spec/?.lua;' .. package.path
local nginx = require 'nginx'
local host = nginx.install()
local core = require 'ebbgate.core.health'
local upstreams = require 'ebbgate.core.upstream'
local keys = require 'ebbgate.core.keys'
local methods = require 'ebbgate.phase.http.methods'
local healths = require 'ebbgate.worker.health.health'

local SETTINGS = { max_fails = 1, fail_timeout_ms = 10000, fail_statuses = {}, max_ejected_percent = 50, slow_start_ms = 0 }

local function peer(id, port)
  return { id = id, host = '10.0.0.1', port = port, version = 'v1', weight = 1, down = false, state = 'up' }
end

--- A worker's view of a service of which `bad` waits for its half-open request; `ids` are the others.
local function gateway(ids, tries, state)
  host.time, host.method, host.ngx.var = 1000, 'GET', {}
  local dict, entry = host.dictionary(), { service = 'shop', health_key = keys.health.changed('shop'), budget = false }
  local peers = { peer('bad', 1) }
  peers[1].state = state or 'up'
  for i, id in ipairs(ids) do peers[i + 1] = peer(id, i + 1) end
  local subject
  local counters = { add = function() end }
  local function build()
    local document = {
      kind = 'set', service = 'shop', balancer = { algorithm = 'weighted_round_robin' }, retry = { tries = tries or 2 },
      timeouts = { connect_ms = 500, send_ms = 1000, read_ms = 1000 }, health = SETTINGS, peers = peers,
    }
    entry.upstream = upstreams.build(document, 'w', entry.upstream, {}, 0, subject:view(entry, document))
  end
  subject = healths.new({
    dict = dict, counters = counters, incarnation = nginx.living(), mutex = nginx.mutex(), zone = '', max_tries = 5,
    is_safe = methods.is_safe,
    rebuild = build,
  })
  local name = keys.health.name('shop', peers[1])
  local ejected = core.eject(nil, host.time - 10.5, 10, 'x')
  dict:safe_set(keys.health.passive(name), core.pack_passive(ejected))
  dict:safe_set(entry.health_key, 1)
  dict:safe_set(keys.health.version, 1)
  build()
  local function record() return core.unpack_passive(dict:get(keys.health.passive(name))) end
  local function take(limit)
    host.time = host.time + 0.2
    return subject.half_open:take(entry, entry.upstream, limit or entry.upstream.tries)
  end
  return { health = subject, entry = entry, dict = dict, record = record, take = take, name = name }
end

describe('a half-open request', function()
  it('is one request at a time', function()
    local subject = gateway({ 'good' })
    local member, lease = subject.take()
    assert.equal('bad', member.id)
    assert.is_nil((subject.take()))
    subject.health.half_open:abandon(lease)
    assert.equal('bad', subject.take().id)
  end)

  it('that outlives its lease does not end the one after it', function()
    local subject = gateway({ 'good' })
    local _, first = subject.take()
    host.time = host.time + 61
    local member, second = subject.take()
    assert.equal('bad', member.id)
    subject.health.half_open:abandon(first)
    assert.is_nil((subject.take()))
    subject.health.half_open:abandon(second)
    assert.equal('bad', subject.take().id)
  end)

  it('that ends late says nothing of an ejection after the one that it was sent for', function()
    local subject = gateway({ 'good' })
    local member, first = subject.take()
    host.time = host.time + 61
    local _, second = subject.take()
    subject.health:outcome(subject.entry, member, 'timeout', second)
    assert.equal(2, subject.record().level)
    subject.health:outcome(subject.entry, member, 200, first)
    assert.is_true(subject.record().out)
    subject.health:outcome(subject.entry, member, 'timeout', first)
    assert.equal(2, subject.record().level)
  end)

  it('that ends late brings the instance back if nothing was learned since: a long answer is an answer', function()
    local subject = gateway({ 'good' })
    local member, lease = subject.take()
    host.time = host.time + 300
    subject.health:outcome(subject.entry, member, 200, lease)
    assert.is_false(subject.record().out)
  end)

  it('is taken from a worker that died', function()
    local subject = gateway({ 'good' })
    subject.dict:safe_set(keys.health.lease(subject.name), '999999999.1|1', 60)
    assert.equal('bad', subject.take().id)
  end)
end)

describe('a request is risked', function()
  local OVERDUE = 30

  it('at once if it can be repeated elsewhere', function()
    assert.equal('bad', gateway({ 'good' }, 2).take().id)
  end)

  it('at once if the service repeats nothing: no better one would come', function()
    assert.equal('bad', gateway({ 'good' }, 1).take().id)
  end)

  it('only if no other came, if others could be repeated and this one cannot', function()
    local rows = {
      { 'its method', function() host.method = 'POST' end },
      { 'a WebSocket', function() host.ngx.var.http_upgrade = 'websocket' end },
      { 'no other try for it', nil, 1 },
      { 'the budget is spent', function(subject) subject.entry.budget = { allows = function() return false end } end },
    }
    for _, row in ipairs(rows) do
      local subject = gateway({ 'good' }, 2)
      if row[2] then row[2](subject) end
      assert.is_nil((subject.take(row[3])), row[1])
      host.time = host.time + OVERDUE
      assert.equal('bad', subject.take(row[3]).id, row[1])
    end
  end)

  it('whatever it is, if nobody else is left', function()
    -- A suspect alone is no reason to panic, so nobody is in the picker.
    local subject = gateway({}, 2, 'suspect')
    host.method = 'POST'
    assert.equal('bad', subject.take(1).id)
  end)
end)
