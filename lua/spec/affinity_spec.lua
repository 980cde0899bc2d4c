package.path = 'lua/spec/?.lua;' .. package.path
local balancing = require 'balancing'
local upstream = require 'ebbgate.core.upstream'
local hash = require 'ebbgate.core.hash'
local alias_sampler = require 'ebbgate.core.alias_sampler'
local request_key = require 'ebbgate.core.request_key'
local sticky = require 'ebbgate.core.sticky'

describe('the key of a request', function()
  local rows = {
    { 'weighted_round_robin', { source = 'header', name = 'X-User' }, false },
    { 'ip_hash', nil, 'remote_addr' },
    { 'consistent_hash', { source = 'header', name = 'X-User-Id' }, 'http_x_user_id' },
    { 'consistent_hash', { source = 'cookie', name = 'Session-Id' }, 'cookie_Session-Id' },
    { 'consistent_hash', { source = 'query', name = 'key' }, 'arg_key' },
    { 'consistent_hash', { source = 'path', name = '' }, 'uri' },
  }
  for _, row in ipairs(rows) do
    it(('of %s on %s is in %s'):format(row[1], row[2] and row[2].source or 'nothing', tostring(row[3])), function()
      assert.equal(row[3], request_key.variable({ algorithm = row[1], hash_on = row[2] }))
    end)
  end
end)

describe('a hash', function()
  it('is MurmurHash3\'s finaliser', function()
    -- From its reference code.
    assert.equal(0, hash.mix(0))
    assert.equal(bit.tobit(0x514e28b7), hash.mix(1))
    assert.equal(bit.tobit(0x81f16f39), hash.mix(-1))
  end)

  it('of a text spreads texts that are nearly alike over all bits', function()
    local ones, seen = {}, {}
    for i = 1, 4096 do
      local value = hash.text('10.0.0.' .. i .. ':8080')
      assert.is_nil(seen[value])
      seen[value] = true
      for place = 0, 31 do ones[place] = (ones[place] or 0) + bit.band(bit.rshift(value, place), 1) end
    end
    for place = 0, 31 do assert.is_true(math.abs(ones[place] - 2048) < 160, 'bit ' .. place .. ': ' .. ones[place]) end
  end)
end)

describe('a alias_sampler', function()
  it('draws by shares, however they differ, and leaves nobody out', function()
    for _, weights in ipairs {
      { a = 1 }, { a = 1, b = 999 }, { a = 0.001, b = 0.002, c = 0.003 }, { a = 1, b = 1, c = 7, d = 91 },
    } do
      local members, sum = balancing.members(weights), 0
      for _, each in ipairs(members) do
        each.share, sum = each.weight, sum + each.weight
      end
      local subject, counts = alias_sampler.new(members, 0.77), {}
      for _ = 1, 100000 do
        local id = subject:draw().id
        counts[id] = (counts[id] or 0) + 1
      end
      for id, weight in pairs(weights) do
        local wanted = 100000 * weight / sum
        assert.is_true(math.abs((counts[id] or 0) - wanted) <= 5 * wanted ^ 0.5 + 1, id .. ' ' .. (counts[id] or 0))
      end
    end
  end)
end)

describe('a sticky session', function()
  local function built(algorithm, peers, given, health_view)
    local list = {}
    for id, changes in pairs(peers) do
      local p = { id = id, host = '10.0.0.1', port = 80, version = 'v1', weight = 1, down = false, state = 'up' }
      for name, value in pairs(changes) do p[name] = value end
      list[#list + 1] = p
    end
    return upstream.build({
      kind = 'set', service = 'shop', balancer = { algorithm = algorithm, sticky = given, prefer_zone = health_view ~= nil },
      peers = list,
    }, 'w', nil, {}, 0.5, health_view)
  end
  local SETTINGS = { cookie = 'at', max_age_s = 0 }

  it('names who was selected or keeps its clients while it drains, and nobody else', function()
    local rows = {
      { {}, true }, { { state = 'suspect' }, true },
      { { weight = 0, state = 'draining', keep_sticky = true }, true },
      { { weight = 0, state = 'draining' }, false }, { { weight = 0 }, false }, { { down = true }, false },
      { { weight = 0, state = 'draining', keep_sticky = true, down = true }, false },
      { { state = 'isolated', keep_sticky = true }, false }, { { state = 'gone', keep_sticky = true }, false },
      { { weight = 0, state = 'up', keep_sticky = true }, false },
      { { state = 'never heard of', keep_sticky = true }, false },
    }
    for index, row in ipairs(rows) do
      local subject = built('random', { a = row[1], b = {} }, SETTINGS)
      local named = upstream.named(subject, sticky.token('shop', 'a'))
      assert.equal(row[2] and 'a' or nil, named and named.id, 'row ' .. index)
      assert.is_nil(upstream.named(subject, sticky.token('shop', 'a'), { a = true }))
    end
  end)

  it('names a spare in another zone, but no backup that is a spare', function()
    local function in_zone(zone, more)
      local changes = { zone = zone }
      for name, value in pairs(more or {}) do changes[name] = value end
      return changes
    end
    local subject = built('random', {
      near = in_zone('here'), far = in_zone('there'), spare = in_zone('here', { backup = true }),
      out = in_zone('there', { weight = 0 }), sick = in_zone('there'),
    }, SETTINGS, { zone = 'here', conditions = { sick = { state = 'ejected', out = true, factor = 1 } } })
    local function who(id) return (upstream.named(subject, sticky.token('shop', id)) or {}).id end
    assert.same({ 'near', 'far' }, { who('near'), who('far') })
    for _, id in ipairs { 'spare', 'out', 'sick' } do assert.is_nil(who(id), id) end
    assert.is_nil(upstream.named(subject, sticky.token('shop', 'far'), { far = true }))
    for _ = 1, 20 do assert.equal('near', subject.picker:pick().id) end
  end)

  it('does not name one whose share was taken', function()
    local subject = built('random', { a = {}, b = {} }, SETTINGS)
    subject.by_id.a.selected = false
    assert.is_nil(upstream.named(subject, sticky.token('shop', 'a')))
  end)

  it('takes no foreign token, and none at all in a set without it', function()
    local subject = built('random', { a = {} }, SETTINGS)
    for _, token in ipairs { '', 'a', '10.0.0.1:80', sticky.token('other', 'a'), sticky.token('shop', 'b') } do
      assert.is_nil(upstream.named(subject, token))
    end
    assert.is_nil(upstream.named(built('random', { a = {} }), sticky.token('shop', 'a')))
  end)

  it('has a cookie that shows no address and is kept from scripts and other sites', function()
    local token = sticky.token('shop', '10.0.1.7:8080')
    assert.is_truthy(string.match(token, '^%x+$') and #token == 16)
    assert.equal(token, sticky.token('shop', '10.0.1.7:8080'))
    assert.are_not.equal(token, sticky.token('shop', '10.0.1.7:8081'))
    assert.equal('at=t; Path=/; HttpOnly; SameSite=Lax', sticky.cookie(sticky.settings(SETTINGS), 't', false))
    assert.equal('at=t; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure',
      sticky.cookie(sticky.settings({ cookie = 'at', max_age_s = 60 }), 't', true))
    assert.is_false(sticky.settings(nil))
  end)
end)

describe('the keys of sticky cookies', function()
  local A, B = string.rep('a', 32), string.rep('b', 128)
  --- Not a real one: what is tested is who asks it for what.
  local function mac(key, text) return string.sub(key, 1, 1) .. text .. '12345678' end

  it('are read a line each, and checked', function()
    assert.same({ A, B }, sticky.read_keys('# newest first\n\n' .. A .. '\n  ' .. B .. '  \n'))
    assert.same({ A }, sticky.read_keys(A))
    for _, text in ipairs { '', '\n# none\n', 'short', A .. '\nx', string.rep('a', 129), A .. ' ' .. A, A .. '\1' } do
      local keys, why = sticky.read_keys(text)
      assert.is_nil(keys)
      assert.is_string(why)
      assert.is_nil(string.find(why, 'aaaa', 1, true), 'a message must not show a key')
    end
    assert.is_nil((sticky.read_keys(string.rep(A .. '\n', 9))))
  end)

  it('name by the first, and understand by the others', function()
    local names = sticky.namer({ A, B }, mac)
    local token, further = names('s', 'i')
    assert.equal(16, #token)
    assert.are_not.equal(token, sticky.token('s', 'i'))
    assert.same({ (sticky.namer({ B }, mac)('s', 'i')) }, further)
    local subject = upstream.build({
      service = 's', kind = 'set', peers = { { id = 'i', host = '10.0.0.1', port = 1, version = '', weight = 1, down = false,
        state = 'up' } }, balancer = { algorithm = 'random', sticky = { cookie = 'c', max_age_s = 0 } },
    }, 'w', nil, {}, 0, nil, names)
    assert.equal('i', upstream.named(subject, token).id)
    assert.equal('i', upstream.named(subject, further[1]).id)
    assert.equal(token, subject.by_id.i.token)
    assert.is_nil(upstream.named(subject, sticky.token('s', 'i')))
  end)
end)
