package.path = 'lua/spec/?.lua;' .. package.path
local grpc_status = require 'ebbgate.core.grpc_status'
local proxy_location = require 'ebbgate.core.proxy_location'
local timeouts = require 'ebbgate.core.timeouts'
local tools = require 'tools'
local wire = require 'ebbgate.core.wire'

local function read(name) return assert(io.open(name)):read('*a') end

describe('a proxy location', function()
  local rows = {
    { { scheme = 'http', tls = '' }, { on = 'error' }, false },
    { { scheme = 'http', tls = '' }, { on = 'error', non_idempotent = true }, '@ebb-http-error-any' },
    { { scheme = 'http', tls = '' }, { on = 'gateway_error' }, '@ebb-http-gateway_error' },
    { { scheme = 'https', tls = 'internal' }, { on = 'error' }, '@ebb-https-internal-error' },
    { { scheme = 'grpc', tls = '' }, { on = 'error' }, '@ebb-grpc-error' },
    { { scheme = 'grpcs', tls = 'internal' }, { on = 'server_error', non_idempotent = true },
      '@ebb-grpcs-internal-server_error-any' },
  }
  local conf = read('nginx/golden/full.conf')
  for _, row in ipairs(rows) do
    it('of ' .. row[1].scheme .. ', ' .. row[2].on .. ' is ' .. tostring(row[3]), function()
      local location = proxy_location.name(proxy_location.transport(row[1]), row[2])
      assert.equal(row[3], location)
      -- The other side of the contract: the conf has it.
      if location then assert.is_truthy(string.find(conf, 'location ' .. location .. ' {', 1, true)) end
    end)
  end

  it('for what must not be repeated repeats no answer', function()
    local function cautious(scheme, retry)
      return proxy_location.cautious(proxy_location.transport({ scheme = scheme, tls = 'internal' }), retry)
    end
    assert.is_false(cautious('http', { on = 'server_error' }))
    assert.equal('@ebb-https-internal-error', cautious('https', { on = 'server_error' }))
    assert.equal('@ebb-http-server_error-any', cautious('http', { on = 'server_error', non_idempotent = true }))
  end)

  it('is not needed by a service that asks for nothing', function()
    assert.is_false(proxy_location.name(proxy_location.transport(nil), nil))
  end)
end)

describe('upstream.tls', function()
  local function decode(upstream, profiles)
    local payload = '{"v":1,"service":"shop","balancer":{"algorithm":"weighted_round_robin"},"timeouts":{"connect_ms":1,'
      .. '"send_ms":1,"read_ms":1},"retry":{"tries":1},"health":{"max_fails":0,"fail_timeout_ms":1},"upstream":' .. upstream
      .. ',"peers":[]}'
    return wire.decode('shop', payload, { json = tools.json, profiles = profiles })
  end
  it('must name a profile that this gateway has', function()
    local profiles = { internal = true }
    assert.equal('internal', decode('{"scheme":"https","tls":"internal"}', profiles).upstream.tls)
    for _, upstream in ipairs({ '{"scheme":"https","tls":"other"}', '{"scheme":"grpcs"}' }) do
      local document, code = decode(upstream, profiles)
      assert.is_nil(document)
      assert.equal('unknown_profile', code)
    end
    assert.is_true(wire.CODES.unknown_profile)
  end)
  it('is default if nothing is named', function()
    assert.equal('default', decode('{"scheme":"grpcs"}', { default = true }).upstream.tls)
  end)
  it('is refused where there is no TLS', function()
    for _, scheme in ipairs({ 'http', 'grpc' }) do
      local document, code = decode('{"scheme":"' .. scheme .. '","tls":"internal"}', { internal = true })
      assert.is_nil(document)
      assert.equal('bad_document', code)
    end
  end)
end)

describe('the timeouts of a try', function()
  local function waits(given, left, stream)
    given.connect_ms, given.send_ms, given.read_ms = 500, 2000, 3000
    return { timeouts.waits(timeouts.of(given), left, stream) }
  end
  it('is what the set says, or less', function()
    assert.same({ 0.5, 2, 3 }, waits({}))
    assert.same({ 0.5, 1, 1 }, waits({ try_ms = 1000 }))
    assert.same({ 0.5, 0.7, 0.7 }, waits({ try_ms = 1000 }, 0.7))
    assert.same({ 0.2, 0.2, 0.2 }, waits({ try_ms = 200 }, 0.7))
    assert.same({ 0.5, 2, 2.5 }, waits({ total_ms = 9000 }, 2.5))
  end)
  it('bounds a stream until it is connected', function()
    assert.same({ 0.1, 2, 3 }, waits({ try_ms = 100 }, nil, true))
  end)
end)

describe('a gRPC status', function()
  it('is asked for by the type of the request', function()
    assert.is_true(grpc_status.asked('application/grpc'))
    assert.is_true(grpc_status.asked('application/grpc+proto'))
    assert.is_true(grpc_status.asked('application/grpc;x=y'))
    assert.is_false(grpc_status.asked('application/json'))
    assert.is_false(grpc_status.asked('application/grpc-web+proto'))
    assert.is_false(grpc_status.asked(nil))
  end)
  it('has a code for each status', function()
    for status, code in pairs({ [404] = 12, [502] = 14, [503] = 14, [504] = 4, [413] = 8, [400] = 13 }) do
      assert.equal(code, grpc_status.of(status))
    end
  end)
end)
