package.path = 'lua/spec/?.lua;' .. package.path
local tools = require 'tools'
local wire = require 'ebbgate.core.wire'

local function decode(name, payload, hash) return wire.decode(name, payload, tools, hash) end

--- The example set, changed by `change(document)`, as a payload.
local function changed(example, change)
  local document = tools.json(tools.example(example))
  change(document)
  return tools.quote(document)
end

describe('the SHA-1 that the specs bring along', function()
  it('is SHA-1', function()
    assert.equal('da39a3ee5e6b4b0d3255bfef95601890afd80709', tools.sha1(''))
    local two_blocks = 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'
    assert.equal('84983e441c3bd26ebaae4aa1f95129e5e54670f1', tools.sha1(two_blocks))
    assert.equal('34aa973cd4c4daa4f61eeb2bdbad27316534016f', tools.sha1(string.rep('a', 1000000)))
  end)
end)

describe('the examples of the contract', function()
  it('accepts the set, with its hash', function()
    local payload = tools.example('set')
    local set = assert(decode('orders', payload, tools.sha1(payload)))
    assert.equal('set', set.kind)
    assert.same({ connect_ms = 500, send_ms = 60000, read_ms = 60000, try_ms = 0, total_ms = 0 }, set.timeouts)
    assert.same(
      { tries = 2, on = 'error', non_idempotent = false, budget_percent = 20, budget_min_per_s = 3 }, set.retry
    )
    assert.equal(3, #set.peers)
    assert.same(
      {
        id = 'orders-9', host = '2001:db8::9', port = 8080, version = '', weight = 0, down = true, state = 'isolated',
        zone = '', backup = false, keep_sticky = false,
      },
      set.peers[3]
    )
    assert.is_true(set.restless)
  end)

  it('accepts the set with every member', function()
    local payload = tools.example('set_full')
    local set = assert(decode('orders', payload, tools.sha1(payload)))
    assert.same({ source = 'header', name = 'x-user' }, set.balancer.hash_on)
    assert.same({ cookie = 'orders_at', max_age_s = 3600 }, set.balancer.sticky)
    assert.equal(15000, set.timeouts.total_ms)
    assert.equal('gateway_error', set.retry.on)
    assert.same({ 500, 503 }, set.health.fail_statuses)
    assert.same({
      type = 'http', path = '/health', host = 'orders.internal', port = 9090, interval_ms = 2000, timeout_ms = 500, rise = 3,
      fall = 2, statuses = { { 200, 299 }, { 304, 304 } }, body = 'ok',
    }, set.health.check)
    assert.same({ scheme = 'https', tls = 'internal' }, set.upstream)
    assert.equal('eu-1a', set.peers[1].zone)
    assert.is_true(set.peers[2].keep_sticky and set.peers[3].backup)
  end)

  for _, name in ipairs({ 'set', 'set_full' }) do
    it('reads ' .. name .. ' of version 2 as the same set of version 1', function()
      local payload = tools.example(name .. '_v2')
      assert.is_true(#payload < #tools.example(name))
      assert.same(assert(decode('orders', tools.example(name))), assert(decode('orders', payload, tools.sha1(payload))))
    end)
  end

  it('accepts the tombstone', function()
    local payload = tools.example('tombstone')
    assert.same({ kind = 'tombstone', service = 'orders' }, decode('orders', payload, tools.sha1(payload)))
  end)

  it('accepts the routes', function()
    local payload = tools.example('routes')
    local routes = assert(decode('@routes', payload, tools.sha1(payload)))
    assert.equal(3, #routes.routes)
    assert.same({ host = '*.example.com', path = '/', service = 'shop' }, routes.routes[2])
  end)
end)

describe('damage', function()
  it('is seen by the hash, whatever byte it hits', function()
    local payload = tools.example('set')
    local hash, random = tools.sha1(payload), tools.random(1)
    for _ = 1, 50 do
      local at = random(#payload)
      local other = string.char((payload:byte(at) + random(255)) % 256)
      local _, code = decode('orders', payload:sub(1, at - 1) .. other .. payload:sub(at + 1), hash)
      assert.equal('hash_mismatch', code)
    end
  end)

  it('never throws, and gives a code of the contract, when it keeps its hash', function()
    local random = tools.random(2)
    for _, name in ipairs({ 'set', 'set_full_v2', 'routes', 'tombstone' }) do
      local payload = tools.example(name)
      for _ = 1, 2000 do
        local at = random(#payload)
        local text = payload:sub(1, at - 1) .. string.char(random(256) - 1) .. payload:sub(at + random(4))
        local document, code = decode(name == 'routes' and '@routes' or 'orders', text)
        assert.is_true(document ~= nil or wire.CODES[code] == true)
      end
    end
  end)
end)

describe('a payload that is refused', function()
  local null = tools.null
  local rows = {
    { 'cut off', 'bad_json', tools.example('set'):sub(1, -2) },
    { 'empty', 'bad_json', '' },
    { 'a number', 'bad_json', '1' },
    { 'null', 'bad_json', 'null' },
    { 'larger than the limit', 'too_large', string.rep(' ', wire.MAX_BYTES + 1) },
    { 'of another version', 'unknown_version', function(d) d.v = 3 end },
    { 'without a version', 'unknown_version', function(d) d.v = nil end },
    { 'with a version as text', 'unknown_version', function(d) d.v = '1' end },
    { 'of another service', 'bad_document', function(d) d.service = 'billing' end },
    { 'with null for a service', 'bad_document', function(d) d.service = null end },
    { 'of another algorithm', 'bad_document', function(d) d.balancer.algorithm = 'astrology' end },
    { 'with null for a balancer', 'bad_document', function(d) d.balancer = null end },
    { 'without timeouts', 'bad_document', function(d) d.timeouts = nil end },
    { 'with a timeout of 0', 'bad_document', function(d) d.timeouts.read_ms = 0 end },
    { 'with a timeout above a day', 'bad_document', function(d) d.timeouts.send_ms = 86400001 end },
    { 'with a timeout of null', 'bad_document', function(d) d.timeouts.connect_ms = null end },
    { 'with no try', 'bad_document', function(d) d.retry.tries = 0 end },
    { 'with six tries', 'bad_document', function(d) d.retry.tries = 6 end },
    { 'with one and a half tries', 'bad_document', function(d) d.retry.tries = 1.5 end },
    { 'without health', 'bad_document', function(d) d.health = nil end },
    { 'with peers that are null', 'bad_document', function(d) d.peers = null end },
    { 'with peers that are an object', 'bad_document', function(d) d.peers = { a = d.peers[1] } end },
    { 'with a peer that is null', 'bad_document', function(d) d.peers[2] = null end },
    { 'with a peer without an id', 'bad_document', function(d) d.peers[1].id = nil end },
    { 'with a pipe in an id', 'bad_document', function(d) d.peers[1].id = 'a|b' end },
    { 'with an id of 128 characters', 'bad_document', function(d) d.peers[1].id = ('a'):rep(128) end },
    { 'with one id twice', 'bad_document', function(d) d.peers[2].id = d.peers[1].id end },
    { 'with a host name', 'bad_document', function(d) d.peers[1].host = 'localhost' end },
    { 'with a host in brackets', 'bad_document', function(d) d.peers[1].host = '[::1]' end },
    { 'with a host of null', 'bad_document', function(d) d.peers[1].host = null end },
    { 'with port 0', 'bad_document', function(d) d.peers[1].port = 0 end },
    { 'with port 65536', 'bad_document', function(d) d.peers[1].port = 65536 end },
    { 'with a port as text', 'bad_document', function(d) d.peers[1].port = '8080' end },
    { 'with a version of null', 'bad_document', function(d) d.peers[1].version = null end },
    { 'with a pipe in a version', 'bad_document', function(d) d.peers[1].version = 'v|1' end },
    { 'with a negative weight', 'bad_document', function(d) d.peers[1].weight = -1 end },
    { 'with a fraction as weight', 'bad_document', function(d) d.peers[1].weight = 0.5 end },
    { 'with a huge weight', 'bad_document', function(d) d.peers[1].weight = 1000001 end },
    { 'with null for down', 'bad_document', function(d) d.peers[1].down = null end },
    { 'with a number for down', 'bad_document', function(d) d.peers[1].down = 0 end },
    { 'without a state', 'bad_document', function(d) d.peers[1].state = nil end },
  }
  for _, row in ipairs(rows) do
    it('is ' .. row[1] .. ': ' .. row[2], function()
      local payload = type(row[3]) == 'function' and changed('set', row[3]) or row[3]
      local document, code, detail = decode('orders', payload)
      assert.is_nil(document)
      assert.equal(row[2], code)
      assert.is_string(detail)
    end)
  end

  it('has numbers that no decoder should let through', function()
    for _, number in ipairs({ '1e999', '-1e999', 'nan', '1e308' }) do
      local payload = tools.example('set'):gsub('"weight":100', '"weight":' .. number)
      local _, code = decode('orders', payload)
      assert.is_true(code == 'bad_document' or code == 'bad_json', number)
    end
  end)

  it('has more than 10,000 peers: too_large', function()
    local payload = changed('set', function(d)
      for i = 1, wire.MAX_PEERS + 1 do
        d.peers[i] = {
          id = 'i' .. i, host = '10.0.0.1', port = 80, version = '', weight = 1, down = false, state = 'up',
        }
      end
    end)
    assert.equal('too_large', select(2, decode('orders', payload)))
  end)

  local lean = {
    { 'a version as text', 'unknown_version', function(d) d.v = '2' end },
    { 'a section of null', 'bad_document', function(d) d.timeouts = null end },
    { 'a section that is text', 'bad_document', function(d) d.retry = 'often' end },
    { 'an upstream of null', 'bad_document', function(d) d.upstream = null end },
    { 'no peers', 'bad_document', function(d) d.peers = nil end },
    { 'peers of null', 'bad_document', function(d) d.peers = null end },
    { 'peers that are an object', 'bad_document', function(d) d.peers = { a = d.peers[1] } end },
    { 'a peer of null', 'bad_document', function(d) d.peers[2] = null end },
    { 'a peer without a host', 'bad_document', function(d) d.peers[1].host = nil end },
    { 'a peer without a port', 'bad_document', function(d) d.peers[1].port = nil end },
    { 'an id of null', 'bad_document', function(d) d.peers[1].id = null end },
    { 'two peers at one address', 'bad_document', function(d) d.peers[2] = d.peers[1] end },
    { 'an id that is the address of another', 'bad_document', function(d) d.peers[2].id = '10.0.1.7:8080' end },
    { 'removed, of version 2', 'unknown_version', function(d) d.removed = true end },
  }
  for _, row in ipairs(lean) do
    it('of version 2 has ' .. row[1] .. ': ' .. row[2], function()
      local document, code, detail = decode('orders', changed('set_v2', row[3]))
      assert.is_nil(document)
      assert.equal(row[2], code)
      assert.is_string(detail)
    end)
  end

  it('is of routes of version 3', function()
    assert.equal('unknown_version', select(2, decode('@routes', changed('routes', function(d) d.v = 3 end))))
  end)

  local routes = {
    { 'an upper-case host', function(d) d.routes[1].host = 'Example.com' end },
    { 'a host with a port', function(d) d.routes[1].host = 'example.com:80' end },
    { 'an inner wildcard', function(d) d.routes[1].host = 'a.*.com' end },
    { 'an empty host', function(d) d.routes[1].host = '' end },
    { 'a path without a slash', function(d) d.routes[1].path = 'api' end },
    { 'a path with a space', function(d) d.routes[1].path = '/a b' end },
    { 'a service that is none', function(d) d.routes[1].service = 'a/b' end },
    { 'a service that steers keys', function(d) d.routes[1].service = '@routes' end },
    { 'one route twice', function(d) d.routes[2] = d.routes[1] end },
    { 'a route of null', function(d) d.routes[2] = null end },
    { 'routes of null', function(d) d.routes = null end },
  }
  for _, row in ipairs(routes) do
    it('routes with ' .. row[1], function()
      assert.equal('bad_document', select(2, decode('@routes', changed('routes', row[2]))))
    end)
  end
end)

describe('a payload that is accepted', function()
  it('of version 2 names its peers by their address, IPv6 in brackets', function()
    local set = assert(decode('orders',
      '{"v":2,"service":"orders","peers":[{"host":"fd00::7","port":80},{"host":"10.0.0.1","port":1}]}'
    ))
    assert.equal('[fd00::7]:80', set.peers[1].id)
    assert.equal('10.0.0.1:1', set.peers[2].id)
    assert.is_false(set.restless)
  end)

  it('may have members that nobody knows, and states that nobody knows', function()
    local set = assert(decode('orders', changed('set', function(d)
      d.colour, d.peers[1].colour, d.peers[1].state = 'blue', 'red', 'resting'
    end)))
    assert.is_nil(set.colour)
    assert.is_nil(set.peers[1].colour)
    assert.equal('resting', set.peers[1].state)
  end)

  it('may have no peers', function()
    local set = assert(decode('orders', (tools.example('set'):gsub('"peers":%[.*%]', '"peers":[]'))))
    assert.same({}, set.peers)
    assert.is_false(set.restless)
  end)
end)

describe('names', function()
  for _, name in ipairs({ 'a', 'a-b.c_d', '0', ('a'):rep(128), '@routes' }) do
    it('may be ' .. name, function() assert.is_true(wire.is_name(name)) end)
  end
  for _, name in ipairs({ '', '../x', 'a/b', 'A', '-a', 'a-', 'a|b', '@x', 'a\n', ('a'):rep(129), 'a b' }) do
    it(('may not be %q'):format(name), function() assert.is_false(wire.is_name(name)) end)
  end
end)
