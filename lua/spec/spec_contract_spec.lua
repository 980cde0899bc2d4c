--- The reader of sets against docs/contract/spec.json, which the control plane writes from its own tables: every default, every
--- limit and the values beside it, every word, every length.
package.path = 'lua/spec/?.lua;' .. package.path
local tools = require 'tools'
local wire = require 'ebbgate.core.wire'

local contract = tools.json(tools.contract('spec'))

--- What a member needs beside it, by its path: a set with everything else right.
local NEEDS = {
  ['balancer.hash_on'] = { source = 'header', name = 'x-user' },
  ['balancer.sticky'] = { cookie = 'shop_at' },
  ['health.check'] = { type = 'http' },
  ['breaker.answer'] = { status = 503 },
  upstream = { scheme = 'https' },
  auth = { type = 'api_key' },
  ['limits.1'] = { name = 'a', rate = '1000000000/s' },
  ['routes.1.headers.1'] = { name = 'a' }, ['routes.1.query.1'] = { name = 'a' },
  ['routes.1.cors'] = { origins = { '*' } },
}

for _, side in ipairs({ 'request_headers', 'response_headers' }) do
  for _, list in ipairs({ 'set', 'add' }) do
    NEEDS['routes.1.' .. side .. '.' .. list .. '.1'] = { name = 'a', value = 'b' }
  end
end

local function split(path)
  local names = {}
  -- The members of a list are counted from 0 in paths.
  for name in path:gmatch('[^.]+') do names[#names + 1] = tonumber(name) and tonumber(name) + 1 or name end
  return names
end

--- The object that `path` is a member of, and its name there; objects on the way are made.
local function place(document, path)
  local names, at, so_far = split(path), document, nil
  for i = 1, #names - 1 do
    so_far = (so_far and so_far .. '.' or '') .. names[i]
    if at[names[i]] == nil then
      local made = {}
      for name, value in pairs(NEEDS[so_far] or {}) do made[name] = value end
      at[names[i]] = made
    end
    at = at[names[i]]
  end
  return at, names[#names]
end

--- The example set with `value` at `path`, decoded: the value that was read there; or nil, the code and the detail.
local function read(path, value)
  local is_route = path:find('^routes%.') ~= nil
  local document = tools.json(tools.example(is_route and 'routes' or 'set'))
  -- A route that says nothing more has no defaults filled in.
  if is_route then document.routes[1].priority = 1 end
  local at, name = place(document, path)
  at[name] = value
  if path == 'routes.0.priority' and value == nil then document.routes[1].match = 'exact' end
  -- A source of `path` has no name, and consistent_hash needs a hash_on: those two rules are about pairs.
  if path == 'balancer.hash_on.source' and value == 'path' then at.name = nil end
  if path == 'balancer.hash_on.name' and value == nil then at.source = 'path' end
  if path == 'balancer.algorithm' then at.hash_on = { source = 'path' } end
  -- A TLS profile goes with a scheme that has TLS; there none is called `default`.
  if path == 'upstream.scheme' then at.tls = nil end
  -- What of a limit goes with some algorithms alone.
  if path == 'limits.0.algorithm' and value == 'concurrency' then at.rate, at.burst = nil, 1 end
  if path == 'limits.0.rate' and value == nil then at.algorithm, at.burst = 'concurrency', 1 end
  if path == 'limits.0.queue' then at.algorithm = 'leaky_bucket' end
  local set, code, detail = wire.decode(is_route and '@routes' or 'orders', tools.quote(document), tools)
  if not set then return nil, code, detail end
  local read_at, read_name = place(set, path)
  return { value = read_at[read_name] }
end

local function accepts(path, value, expected)
  local found, code, detail = read(path, value)
  assert(found, ('%s = %s: %s, %s'):format(path, tools.quote(value), tostring(code), tostring(detail)))
  if expected == nil then expected = value end
  assert.same(expected, found.value)
end

local function refuses(path, value)
  local found, code, detail = read(path, value)
  assert.is_nil(found, ('%s takes %s'):format(path, tools.quote(value)))
  assert.equal('bad_document', code)
  -- The detail names the innermost member that is wrong.
  assert.equal(path, (detail:gsub('%[%d+%]$', '')))
end

--- An array of `count` times `item`.
local function times(count, item)
  local items = {}
  for i = 1, count do items[i] = item end
  return items
end

--- Calls `run` with each ASCII character, and whether it is one of `inside`.
local function each_character(inside, run)
  for code = 0, 127 do
    local character = string.char(code)
    run(character, inside:find(character, 1, true) ~= nil)
  end
end

--- Values at the border of a rule: those that pass, and those beside them that do not.
local function border(rule)
  if rule.type == 'whole' then
    return { rule.min, rule.max }, { rule.min - 1, rule.max + 1, rule.min + 0.5, tostring(rule.min), tools.null }
  elseif rule.type == 'flag' then
    return { true, false }, { 'yes', 0, tools.null }
  elseif rule.type == 'word' then
    return rule.words, { 'none_of_them', rule.words[1]:upper(), 1, tools.null }
  elseif rule.type == 'text' then
    local good, bad = { unpack(rule.good) }, { unpack(rule.bad) }
    -- Beyond ASCII a length in characters and one in bytes differ.
    local more = rule.good[1] == 'é' and 'é' or 'a'
    local full = (more == 'é' and more or rule.good[1]:sub(1, 1)) .. more:rep(rule.most - 1)
    good[#good + 1], bad[#bad + 1], bad[#bad + 2], bad[#bad + 3] = full, full .. more, 1, tools.null
    each_character(rule.inside, function(character, is_inside)
      local texts = is_inside and good or bad
      texts[#texts + 1] = rule.good[1] .. character .. rule.good[1]
    end)
    return good, bad
  elseif rule.type == 'range' then
    local min, max = rule.min, rule.max
    return { { min, max }, { min, min }, { max, max } }, { { min - 1, max }, { min, max + 1 }, { max, min }, { min }, min }
  elseif rule.type == 'list' then
    local good, bad = { times(0) }, {}
    local items, others = border(rule.of)
    for _, item in ipairs(items) do good[#good + 1] = { item } end
    for _, item in ipairs(others) do bad[#bad + 1] = { items[1], item } end
    good[#good + 1], bad[#bad + 1], bad[#bad + 2] = times(rule.most, items[1]), times(rule.most + 1, items[1]), items[1]
    return good, bad
  elseif rule.type == 'form' then
    local bad = { unpack(rule.bad) }
    bad[#bad + 1], bad[#bad + 2] = 1, tools.null
    return rule.good, bad
  elseif rule.type == 'objects' then
    return { times(0) }, { 1, 'text' }
  end
  return {}, { 1, 'text' }
end

describe('the contract', function()
  it('is there', function() assert.is_true(#contract.fields > 30 and #contract.route_fields > 10) end)

  local fields = { unpack(contract.fields) }
  for _, field in ipairs(contract.route_fields) do fields[#fields + 1] = field end
  for _, field in ipairs(fields) do
    local path = field.path
    describe(path, function()
      local good, bad = border(field)
      it('takes what is within its limits', function()
        for _, value in ipairs(good) do
          -- Without a name a scheme with TLS has the profile `default`.
          accepts(path, value, path == 'upstream.tls' and value == '' and 'default' or nil)
        end
      end)
      it('refuses what is beside them', function()
        for _, value in ipairs(bad) do refuses(path, value) end
      end)
      if field.required then
        it('is needed', function() refuses(path, nil) end)
      else
        it('has its default', function()
          local found = assert(read(path, nil))
          if path == 'upstream' then
            assert.same({ scheme = 'http', tls = '' }, found.value)
          elseif path == 'auth' then
            assert.same({ type = 'none', header = 'X-API-Key', query = '', pass_key = false }, found.value)
          elseif path == 'upstream.tls' then
            assert.equal('default', found.value)
          elseif path == 'breaker' or path == 'concurrency' then
            -- A service without one has none.
            assert.is_nil(found.value)
          elseif field.default == tools.null then
            assert.is_true(found.value == nil or found.value == '')
          else
            assert.same(field.default, found.value)
          end
        end)
      end
    end)
  end
end)

describe('peers', function()
  local peers, longest = contract.peers, contract.longest

  --- Whether the example set is taken with `value` for a member of its first peer.
  local function takes(member, value)
    local document = tools.json(tools.example('set'))
    document.peers[1][member] = value
    local set, code, detail = wire.decode('orders', tools.quote(document), tools)
    if set then return true end
    assert.equal('bad_document', code)
    assert.equal('peers[0].' .. member, detail)
    return false
  end

  for _, member in ipairs({ 'port', 'weight' }) do
    it('have a ' .. member .. ' within its limits', function()
      local min, max = peers[member].min, peers[member].max
      assert.is_true(takes(member, min) and takes(member, max))
      assert.is_false(takes(member, min - 1) or takes(member, max + 1))
    end)
  end
  for member, kind in pairs({ id = 'instance', version = 'version', zone = 'zone' }) do
    it('have a name as ' .. member .. ' that is not too long', function()
      assert.is_true(takes(member, ('a'):rep(longest[kind])))
      assert.is_false(takes(member, ('a'):rep(longest[kind] + 1)))
    end)
    it('have a name as ' .. member .. ' of the characters of such names', function()
      each_character(contract.inside[kind], function(character, is_inside)
        tools.ensure(takes(member, 'a' .. character .. 'a') == is_inside, member .. ' with character ' .. character:byte())
      end)
    end)
  end
  it('are not too many', function()
    local function many(count)
      local document = tools.json(tools.example('set'))
      for i = 1, count do
        document.peers[i] = { id = 'i' .. i, host = '10.0.0.1', port = 80, version = '', weight = 1, down = false, state = 'up' }
      end
      return select(2, wire.decode('orders', tools.quote(document), tools))
    end
    assert.is_nil(many(peers.most))
    assert.equal('too_large', many(peers.most + 1))
  end)
end)

describe('version 2', function()
  local function read_lean(document)
    document.v, document.service = 2, 'orders'
    return assert(wire.decode('orders', tools.quote(document), tools))
  end

  it('has every default of the members that version 1 needs', function()
    local set, seen = read_lean({ peers = { { host = '10.0.0.1', port = 80 } } }), 0
    for _, field in ipairs(contract.fields) do
      local section, member = field.path:match('^(%w+)%.([%w_]+)$')
      if section and field.required then
        assert.same(field.default, set[section][member])
        seen = seen + 1
      end
    end
    assert.is_true(seen >= 8)
    for name, default in pairs(contract.peers.defaults) do assert.equal(default, set.peers[1][name]) end
  end)
end)

describe('a payload', function()
  it('is not too long', function()
    local payload = tools.example('set')
    local full = payload .. (' '):rep(contract.most_bytes - #payload)
    assert.is_table(wire.decode('orders', full, tools))
    assert.equal('too_large', select(2, wire.decode('orders', full .. ' ', tools)))
  end)
end)

describe('names and routes', function()
  local longest = contract.longest
  it('have services that are not too long', function()
    assert.is_true(wire.is_service(('a'):rep(longest.service)))
    assert.is_false(wire.is_service(('a'):rep(longest.service + 1)))
  end)
  it('have services of the characters of such names', function()
    each_character(contract.inside.service, function(character, is_inside)
      tools.ensure(wire.is_service('a' .. character .. 'a') == is_inside, 'character ' .. character:byte())
    end)
  end)
  it('have hosts and paths that are not too long', function()
    local function takes(host, path)
      local document = { v = 1, service = '@routes', routes = { { host = host, path = path, service = 'shop' } } }
      return wire.decode('@routes', tools.quote(document), tools) ~= nil
    end
    local host, path = ('a'):rep(longest.route_host), '/' .. ('a'):rep(longest.route_path - 1)
    assert.is_true(takes(host, path))
    assert.is_false(takes(host .. 'a', path))
    assert.is_false(takes(host, path .. 'a'))
  end)
end)
