--- Keys in their documents, in the table of a worker, and as every request looks for them.
package.path = 'lua/spec/?.lua;' .. package.path
local ffi = require 'ffi'
local nginx = require 'nginx'
local host = nginx.install()
local tools = require 'tools'
local auth = require 'ebbgate.core.auth'
local key = require 'ebbgate.core.limit.key'
local key_table = require 'ebbgate.worker.auth.key_table'
local keys = require 'ebbgate.core.keys'
local limits = require 'ebbgate.worker.limit.limits'
local memory = require 'ebbgate.worker.limit.memory'
local wire = require 'ebbgate.core.wire'
local api_keys = require 'ebbgate.worker.auth.api_keys'
local counters = require 'ebbgate.worker.count.counters'
local sha256 = require 'ebbgate.worker.auth.sha256'
local store = require 'ebbgate.worker.follow.store'

--- Where nginx has its libcrypto from.
local function libcrypto()
  for _, name in ipairs { 'libcrypto.so.3', 'libcrypto.so.1.1', 'crypto' } do
    local found, library = pcall(ffi.load, name)
    if found then return library end
  end
  error('there is no libcrypto')
end

local digest_of = sha256.new(libcrypto())
local room = ffi.new('uint8_t[32]')

local function hex(text)
  digest_of(text, #text, room)
  local parts = {}
  for i = 0, 31 do parts[i + 1] = ('%02x'):format(room[i]) end
  return table.concat(parts)
end

--- The payload of the document that has these keys {text, id, consumer, expires}, which all begin like the first.
local function payload_of(consumers, given)
  local list = {}
  for i, one in ipairs(given) do
    list[i] = { hash = hex(one.text), id = one.id or '0123456789ab', consumer = one.consumer or 0, expires = one.expires }
  end
  local name = wire.KEYS .. ':' .. list[1].hash:sub(1, 2)
  return tools.quote { v = 1, service = name, consumers = consumers, keys = list }, name
end

local function decode(name, payload) return wire.decode(name, payload, tools) end

describe('SHA-256', function()
  it('is that of FIPS 180-4', function()
    assert.equal('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', hex('abc'))
    assert.equal('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', hex(''))
    assert.equal(
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
      hex('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')
    )
  end)

  it('is the same by a libcrypto without its older names', function()
    local library = libcrypto()
    local newer = setmetatable({}, { __index = function(_, name)
      if name:find('^ebb_sha256') then error('no such symbol') end
      return library[name]
    end })
    local other = sha256.new(newer)
    for length = 0, 200 do
      local text = ('k'):rep(length)
      local expected = hex(text)
      other(text, #text, room)
      assert.equal(tonumber(expected:sub(1, 2), 16), room[0])
      assert.equal(tonumber(expected:sub(63), 16), room[31])
    end
  end)
end)

describe('a document of keys', function()
  it('is the example of the contract', function()
    local payload = tools.example('keys')
    local document = assert(wire.decode('@keys:37', payload, tools, tools.sha1(payload)))
    assert.equal('keys', document.kind)
    assert.same({ name = 'globex', services = { 'orders', 'shop-*' }, networks = { '10.0.0.0/8', 'fd00::/8' } },
      document.consumers[2])
    local those = key_table.new(document)
    local text = 'example-key-of-acme-1'
    digest_of(text, #text, room)
    local slot = those:find(ffi.cast('const int32_t *', room), room[1], room[2])
    assert.equal('acme', (those:consumer(slot)))
    assert.equal('0123456789ab', those:id(slot))
  end)

  it('may be a tombstone', function()
    assert.same({ kind = 'tombstone', service = '@keys:37' },
      decode('@keys:37', '{"v":1,"service":"@keys:37","removed":true}'))
  end)

  local good = tools.json(tools.example('keys'))
  local function changed(change)
    local document = tools.json(tools.quote(good))
    change(document)
    return tools.quote(document)
  end
  for _, row in ipairs {
    { 'another name', function(d) d.service = '@keys:38' end },
    { 'a key of another document', function(d) d.keys[1].hash = '38' .. d.keys[1].hash:sub(3) end },
    { 'a hash that is none', function(d) d.keys[1].hash = d.keys[1].hash:upper() end },
    { 'a short hash', function(d) d.keys[1].hash = d.keys[1].hash:sub(1, 62) end },
    { 'one hash twice', function(d) d.keys[2].hash = d.keys[1].hash end },
    { 'a key of nobody', function(d) d.keys[1].consumer = 2 end },
    { 'a key of a fraction', function(d) d.keys[1].consumer = 0.5 end },
    { 'an id that is none', function(d) d.keys[1].id = '0123456789zz' end },
    { 'an expiry that is no number', function(d) d.keys[1].expires = tools.null end },
    { 'a name that is none', function(d) d.consumers[1].name = 'a\r\nb' end },
    { 'an empty name', function(d) d.consumers[1].name = '' end },
    { 'no services, which is not all of them', function(d) d.consumers[1].services = {} end },
    { 'no networks, which is not all of them', function(d) d.consumers[1].networks = {} end },
    { 'a network that is none', function(d) d.consumers[1].networks = { '10.0.0.0/33' } end },
    { 'a pattern that is none', function(d) d.consumers[1].services = { 'a b' } end },
    { 'keys that are no list', function(d) d.keys = { a = 1 } end },
    { 'consumers that are no list', function(d) d.consumers = 1 end },
  } do
    it('is refused with ' .. row[1], function()
      local document, code = decode('@keys:37', changed(row[2]))
      assert.is_nil(document)
      assert.equal('bad_document', code)
    end)
  end

  it('never throws, whatever is damaged', function()
    local random, payload = tools.random(3), tools.example('keys')
    for _ = 1, 2000 do
      local at = random(#payload)
      local text = payload:sub(1, at - 1) .. string.char(random(256) - 1) .. payload:sub(at + random(4))
      local document, code = decode('@keys:37', text)
      assert.is_true(document ~= nil or wire.CODES[code] == true)
    end
  end)
end)

describe('the keys of a worker', function()
  local sets, known

  --- Puts a document in force as worker/follow/store.lua does.
  local function share(name, payload)
    local shared = store.new(sets)
    assert(shared:share(name, { epoch = 1, generation = 1, hash = 'h', payload = payload }, true))
  end
  local function find(text)
    local slot, those = known:find(text, #text)
    if not slot then return nil end
    return (those:consumer(slot)), slot, those
  end

  before_each(function()
    sets = host.dictionary()
    sets:safe_set(keys.sets.last_stamp, 0)
    known = api_keys.new(sets, tools, digest_of)
  end)

  it('are none before there is a document', function() assert.is_nil(find('anything at all, also long')) end)

  it('are those of the document that is in force, from the very next request on', function()
    local payload, name = payload_of({ { name = 'acme' }, { name = 'globex' } }, { { text = 'one' } })
    share(name, payload)
    assert.equal('acme', find('one'))
    assert.is_nil(find('onf'))
    assert.is_nil(find('on'))
    assert.is_nil(find('one '))
    share(name, (payload_of({ { name = 'acme' }, { name = 'globex' } }, { { text = 'one', consumer = 1 } })))
    assert.equal('globex', find('one'))
    share(name, tools.quote { v = 1, service = name, removed = true })
    assert.is_nil(find('one'))
    share(name, payload)
    assert.equal('acme', find('one'))
    store.new(sets, { remove = function() return true end }, function() return true end):remove(name)
    assert.is_nil(find('one'))
  end)

  it('are none of a document that cannot be read: what was before is not in force any more', function()
    local payload, name = payload_of({ { name = 'acme' } }, { { text = 'one' } })
    share(name, payload)
    assert.equal('acme', find('one'))
    share(name, '{')
    assert.is_nil(find('one'))
    assert.is_nil(find('one'))
    assert.is_truthy(host.logged[#host.logged]:find('cannot be read', 1, true))
  end)

  it('have the expiry and the terms of their consumer', function()
    local consumers = { { name = 'acme', services = { 'shop-*', 'cart' }, networks = { '10.0.0.0/8' } }, { name = 'free' } }
    local payload, name = payload_of(consumers, { { text = 'one', expires = 1800000000 } })
    share(name, payload)
    local _, slot, those = find('one')
    assert.equal(1800000000, those:expires(slot))
    local _, terms = those:consumer(slot)
    for service, may in pairs { ['shop-a'] = true, shop = false, ['shop-'] = true, cart = true, cart2 = false, acart = false } do
      assert.equal(may, terms.services(service), service)
      assert.equal(may, terms.services(service), service)
    end
    assert.equal(8, terms.networks[1].bits)
    share(name, (payload_of({ { name = 'free' } }, { { text = 'one' } })))
    local _, other, there = find('one')
    local _, free = there:consumer(other)
    assert.is_false(free.services)
    assert.is_false(free.networks)
  end)

  it('are all found and nothing else, whatever there is', function()
    local random, by_document, texts = tools.random(11), {}, {}
    for i = 1, 3000 do
      local text = ('key-%d-%d'):format(i, random(1000000))
      local name = wire.KEYS .. ':' .. hex(text):sub(1, 2)
      by_document[name] = by_document[name] or {}
      table.insert(by_document[name], { text = text, consumer = i % 2 })
      texts[text] = i % 2
    end
    for name, given in pairs(by_document) do share(name, (payload_of({ { name = 'even' }, { name = 'odd' } }, given))) end
    for text, consumer in pairs(texts) do tools.ensure(find(text) == (consumer == 0 and 'even' or 'odd'), text) end
    for i = 1, 3000 do tools.ensure(find('other-' .. i) == nil, 'other-%d is found', i) end
  end)

  it('are looked for by their digest alone: a part of a key finds nothing, and takes no longer', function()
    local payload, name = payload_of({ { name = 'acme' } }, { { text = 'a-key-of-thirty-two-characters-x' } })
    share(name, payload)
    local seen = {}
    known.sha256 = function(text, length, digest)
      seen[#seen + 1] = length
      return digest_of(text, length, digest)
    end
    for _, text in ipairs { 'a-key-of-thirty-two-characters-y', 'b-key-of-thirty-two-characters-x' } do
      assert.is_nil(find(text))
    end
    assert.same({ 32, 32 }, seen)
  end)
end)

describe('auth of a service', function()
  it('is none unless it is asked for', function()
    assert.is_false(auth.settings(nil, 'shop'))
    assert.is_false(auth.settings({ type = 'none', header = 'X-API-Key', query = '', pass_key = false }, 'shop'))
  end)
  it('says where the key is, in the challenge too', function()
    local both = auth.settings({ type = 'api_key', header = 'X-Key', query = 'k', pass_key = false }, 'shop')
    assert.same({ 'x-key', 'k', false }, { both.header, both.query, both.bearer })
    assert.equal('ApiKey realm="shop", header="X-Key", query="k"', both.challenge)
    local bearer = auth.settings({ type = 'api_key', header = 'authorization', query = '', pass_key = true }, 'shop')
    assert.same({ true, false, 'Bearer realm="shop"' }, { bearer.bearer, bearer.query, bearer.challenge })
  end)
end)

describe('what was counted of keys', function()
  it('goes into the shared dictionary, and begins again', function()
    local dict = host.dictionary()
    counters.prepare(dict)
    local counting = counters.new(dict)
    local shop = auth.settings({ type = 'api_key', header = 'X-Key', query = '', pass_key = false }, 'shop')
    for _, result in ipairs { 'admitted', 'admitted', 'missing', 'expired' } do counting:authenticated(shop.counted, result) end
    counting:flush()
    counting:authenticated(shop.counted, 'not_allowed')
    counting:flush()
    for result, count in pairs { admitted = 2, missing = 1, expired = 1, not_allowed = 1 } do
      assert.equal(count, dict:get('auth|shop|' .. result), result)
    end
    assert.is_nil(dict:get('auth|shop|unknown'))
  end)
end)

describe('limits by consumer', function()
  local function policy(given)
    local rule = {
      name = 'all', algorithm = 'token_bucket', key = {}, rate = '10/s', burst = 2, queue = 0, cost = 1, status = 429,
      mode = 'enforce', exempt = {}, exempt_consumers = {},
    }
    for name, value in pairs(given) do rule[name] = value end
    local count = { limited = function(_, counted) counted.dirty = true end }
    return limits.new({ service = 'shop', limits = { rule } }, {}, { memory = memory.at(memory.map(65536)), counters = count })
  end
  local function by(consumer, id)
    return { binary_remote_addr = '\10\0\0\1', ebb_consumer = consumer, ebb_key_id = id or 'k' }
  end
  local function admitted(limit, request)
    local count = 0
    for _ = 1, 5 do
      if not limit:admit(request) then count = count + 1 end
    end
    return count
  end

  it('count each consumer for itself, and each key', function()
    assert.is_true(key.is_part('consumer') and key.is_part('api_key'))
    local each = policy { key = { 'consumer' } }
    assert.same({ 2, 0, 2 }, { admitted(each, by('a', '1')), admitted(each, by('a', '2')), admitted(each, by('b')) })
    local keyed = policy { key = { 'api_key' } }
    assert.same({ 2, 2 }, { admitted(keyed, by('a', '1')), admitted(keyed, by('a', '2')) })
  end)
  it('leave out the consumers that they name', function()
    local limit = policy { exempt_consumers = { 'vip' } }
    assert.same({ 5, 2, 0 }, { admitted(limit, by('vip')), admitted(limit, by('a')), admitted(limit, by('')) })
  end)
end)
