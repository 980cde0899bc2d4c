package.path = 'lua/spec/?.lua;' .. package.path
local connection = require 'ebbgate.core.connection'
local header_names = require 'ebbgate.core.header_names'
local utf8 = require 'ebbgate.core.utf8'
local exposition = require 'ebbgate.core.exposition'
local histogram = require 'ebbgate.core.histogram'
local keys = require 'ebbgate.core.keys'
local metrics = require 'ebbgate.core.metrics'
local options = require 'ebbgate.core.options'
local position = require 'ebbgate.core.position'
local problem_json = require 'ebbgate.core.problem_json'
local tools = require 'tools'

describe('a position', function()
  it('is compared epoch first', function()
    assert.is_true(position.newer(2, 1, 1, 9))
    assert.is_false(position.newer(1, 9, 2, 1))
    assert.is_true(position.newer(1, 2, 1, 1))
    assert.is_false(position.newer(1, 1, 1, 1))
  end)

  it('reads whole numbers below 2^53 only', function()
    assert.equal(0, position.whole('0'))
    assert.equal(9007199254740991, position.whole('9007199254740991'))
    for _, text in ipairs({ '', '-1', '1.5', '1e3', '9007199254740992', ('9'):rep(17), ' 1', '0x10', 'nan' }) do
      assert.is_nil(position.whole(text), text)
    end
    assert.is_nil(position.whole(nil))
    assert.is_nil(position.whole(7))
  end)

  it('survives its record, at one length', function()
    local random = tools.random(8)
    for _ = 1, 200 do
      local record = {
        epoch = random(2 ^ 31) * 2 ^ 21, generation = random(1000) - 1, hash = tools.sha1('x' .. random(1000)),
        saved = random(2) == 1, removed = random(3) == 1, restless = false,
      }
      record.restless = not record.removed and random(2) == 1
      local packed = position.pack_record(record)
      assert.equal(77, #packed)
      assert.same(record, position.unpack_record(packed))
      local text = position.pack(record.epoch, record.generation)
      assert.equal(33, #text)
      assert.same({ record.epoch, record.generation }, { position.unpack(text) })
    end
    assert.is_nil(position.unpack(nil))
    assert.is_nil(position.unpack_record(nil))
  end)
end)

describe('keys', function()
  it('come apart as they were put together', function()
    assert.same({ '12.34', 'shop|[::1]:80' }, { keys.inflight.parse(keys.inflight.counter('12.34', 'shop', '[::1]:80')) })
    assert.is_nil(keys.inflight.parse(keys.inflight.uncounted_of('12.34')))
    assert.is_nil(keys.inflight.parse(keys.inflight.made))
    assert.equal('@routes', keys.sets.name_of_record(keys.sets.record('@routes')))
    assert.is_nil(keys.sets.name_of_record(keys.sets.stamp('shop')))
    for _, values in ipairs { { 'shop', '', 'a:1', '2xx' }, { '', '', '', '4xx' } } do
      local metric, parsed = metrics.parse(metrics.key(metrics.requests, unpack(values)))
      assert.equal(metrics.requests, metric)
      assert.same(values, parsed)
    end
    for _, key in ipairs { keys.metrics.made, 'requests|shop', 'retries|shop|', 'other|shop' } do
      assert.is_nil(metrics.parse(key), key)
    end
  end)
end)

describe('the Connection header', function()
  local function nominated(values, names)
    local present = {}
    for _, name in ipairs(names) do present[name] = true end
    local found = connection.nominated(values, present)
    table.sort(found)
    return found
  end
  local ALL = { 'x-a', 'x-b', 'accept', 'te', 'host', 'content-length', 'transfer-encoding', 'x-forwarded-for', 'authorization' }

  local rows = {
    { { 'keep-alive' }, {} }, { { ',, ,', '' }, {} }, { { 'X-Secret' }, {} }, { { 'close, X-A ,x-b' }, { 'x-a', 'x-b' } },
    { { 'close', 'X-A', 'x-a,X-B\tx-a' }, { 'x-a', 'x-b' } }, { { 'Accept' }, { 'accept' } }, { { 'x-ab', 'x-', 'ax-a' }, {} },
    { { 'Host, Content-Length, Transfer-Encoding, TE, X-Forwarded-For, Authorization' }, {} },
  }
  for _, row in ipairs(rows) do
    it('names what it names: ' .. table.concat(row[1], ' | '), function()
      assert.same(row[2], nominated(row[1], ALL))
    end)
  end

  it('is plain in almost every message', function()
    for _, value in ipairs({ 'close', 'keep-alive', 'Keep-Alive', 'upgrade', 'Upgrade', '' }) do
      assert.is_true(connection.is_plain(value))
    end
    assert.is_false(connection.is_plain('close, x-a'))
  end)

  it('finds names whose numbers are the same', function()
    -- 31 × "b" + "a" = 31 × "a" + ("a" + 31): two texts of one number, of characters that names may have.
    assert.same({ 'a^', 'b?' }, nominated({ 'b?, a^, a^, b?' }, { 'b?', 'a^' }))
  end)

  it('is read in time that grows with its length alone', function()
    local tokens, names = {}, {}
    for i = 1, 8000 do tokens[i] = 'x' .. i end
    for i = 1, 8000 do names[i] = 'y' .. i end
    local value = table.concat(tokens, ',')
    local half, fewer = table.concat(tokens, ',', 1, 4000), { unpack(names, 1, 4000) }
    -- The best of some: a busy machine makes single ones slow.
    local function best(of, present)
      local least = math.huge
      for _ = 1, 60 do
        local began = os.clock()
        assert.same({}, nominated({ of }, present))
        least = math.min(least, os.clock() - began)
      end
      return least
    end
    local whole = best(value, names)
    -- Squared it would be four times as much.
    assert.is_true(whole < 3.4 * best(half, fewer), whole)
  end)
end)

describe('a name of a header', function()
  local rows = {
    { 'x_tenant', 'plain', 'name' }, { 'x_tenant', 'underscores', nil }, { 'x.tenant', 'underscores', 'name' },
    { 'x.tenant', 'any', nil }, { 'x_tenant', 'any', nil }, { 'x(y)', 'any', 'invalid' },
    { 'x\255', 'plain', 'invalid' }, { '', 'any', 'invalid' }, { 'x-plain', 'plain', nil }, { 'host', 'plain', nil },
    { 'content_length', 'underscores', 'lookalike' }, { 'transfer_encoding', 'any', 'lookalike' },
    { 'x_forwarded.for', 'any', 'lookalike' }, { 'x_forwarded_for', 'plain', 'name' }, { 'ho_st', 'any', nil },
  }
  for _, row in ipairs(rows) do
    it(('%q with %s: %s'):format(row[1], row[2], tostring(row[3])), function()
      assert.equal(row[3], header_names.fault(row[1], row[2]))
    end)
  end
end)

describe('text of any bytes', function()
  local rows = {
    { '', '' }, { 'plain', 'plain' }, { 'gr\195\188n', 'gr\195\188n' }, { '\226\130\172', '\226\130\172' },
    { '\240\159\152\128', '\240\159\152\128' }, { '/\255', '/%FF' }, { '\195', '%C3' }, { 'a\195z', 'a%C3z' },
    { '\226\130', '%E2%82' }, { '\240\159\152', '%F0%9F%98' }, { '\192\175', '%C0%AF' }, { '\224\128\175', '%E0%80%AF' },
    { '\237\160\128', '%ED%A0%80' }, { '\244\144\128\128', '%F4%90%80%80' }, { '\248\136\128\128\128', '%F8%88%80%80%80' },
    { '\128', '%80' }, { '\195\188\188', '\195\188%BC' }, { '\244\143\191\191', '\244\143\191\191' },
  }
  for i, row in ipairs(rows) do
    it('is UTF-8 afterwards, row ' .. i, function() assert.equal(row[2], utf8.clean(row[1])) end)
  end
end)

describe('a problem', function()
  it('is JSON with the members of the API', function()
    local body = tools.json(problem_json.body('no_instance', 503, 'abc'))
    assert.equal(503, body.status)
    assert.equal('no_instance', body.code)
    assert.equal('abc', body.request_id)
    assert.is_string(body.title)
    assert.is_string(body.detail)
    assert.equal('about:blank', body.type)
  end)

  it('has a code for every status', function()
    assert.equal('instance_timeout', problem_json.code_of(504))
    for status = 400, 599 do
      local body = tools.json(problem_json.body(problem_json.code_of(status), status, 'x'))
      assert.equal(status, body.status)
    end
  end)
end)

describe('the histogram', function()
  it('puts a latency into the first bucket that it fits', function()
    assert.equal(1, histogram.bucket(0))
    assert.equal(1, histogram.bucket(1))
    assert.equal(2, histogram.bucket(1.001))
    assert.equal(histogram.SIZE, histogram.bucket(1e9))
    for index, bound in ipairs(histogram.BOUNDS_MS) do
      assert.equal(index, histogram.bucket(bound))
      assert.equal(index + 1, histogram.bucket(bound + 0.001))
    end
    assert.equal('0.001', histogram.le(1))
    assert.equal('+Inf', histogram.le(histogram.SIZE))
  end)

  it('shows Prometheus as many bounds as a page can show', function()
    local shown = 0
    for index = 1, histogram.SIZE do shown = shown + (histogram.is_shown(index) and 1 or 0) end
    assert.equal(15, shown)
  end)
end)

describe('the exposition', function()
  it('escapes labels and keeps whole numbers whole', function()
    local text = exposition.render({
      { metric = { name = 'a', type = 'counter', help = 'H.', labels = { 'x' } }, samples = {
        { values = { 'q"\\\n' }, value = 12345678901 }, { values = { 'a' }, value = 0.5 },
      } },
      { metric = { name = 'b', type = 'histogram', help = 'I.', labels = {} }, samples = {
        { values = {}, value = 2, suffix = '_sum' }, { values = {}, value = 1, suffix = '_bucket', le = '+Inf' },
      } },
    })
    assert.equal('# HELP a H.\n# TYPE a counter\na{x="a"} 0.5\na{x="q\\"\\\\\\n"} 12345678901\n'
      .. '# HELP b I.\n# TYPE b histogram\nb_sum 2\nb_bucket{le="+Inf"} 1\n', text)
  end)
end)

describe('the options of init', function()
  local good = { gateway_id = 'gw-1', redis = 'redis://127.0.0.1', state_dir = '/var/lib/ebbgate' }

  it('fill in what is not given', function()
    local checked = assert(options.check(good))
    assert.equal(1000, checked.heartbeat_ms)
    assert.equal(5, checked.max_tries)
  end)

  local rows = {
    gateway_id = 'a|b', redis = 'a b', redis_password_env = '1', redis_sentinel_password_env = '1',
    state_dir = 'relative', start_wait_ms = 'x', poll_ms = 1, heartbeat_ms = 1.5, max_tries = 6, version = '',
  }
  for field, bad in pairs(rows) do
    it('name a bad ' .. field, function()
      local given = {}
      for name, value in pairs(good) do given[name] = value end
      given[field] = bad
      local checked, err = options.check(given)
      assert.is_nil(checked)
      assert.truthy(err:find('the option ' .. field .. ' must be', 1, true))
    end)
  end

  it('name one that is missing or not known', function()
    assert.truthy(select(2, options.check({})):find('the option', 1, true))
    assert.truthy(select(2, options.check({ colour = 1 })):find('the option colour is not known', 1, true))
    assert.is_nil(options.check(nil))
  end)
end)
