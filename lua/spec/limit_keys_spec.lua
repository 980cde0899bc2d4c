package.path = 'lua/spec/?.lua;' .. package.path
local bit = require 'bit'
local key = require 'ebbgate.core.limit.key'
local limit = require 'ebbgate.core.limit.limit'
local network = require 'ebbgate.core.network'
local siphash = require 'ebbgate.core.limit.siphash'
local slots = require 'ebbgate.core.limit.slots'
local tools = require 'tools'

local function bytes(...) return string.char(...) end

describe('HalfSipHash', function()
  it('gives the vectors of its reference implementation', function()
    local function text(high, low)
      local list = {}
      for _, word in ipairs { low, high } do
        for shift = 0, 24, 8 do list[#list + 1] = ('%02x'):format(bit.band(bit.rshift(word, shift), 255)) end
      end
      return table.concat(list)
    end
    assert.equal('218d1f59b9b83cc8', text(siphash('', 0x07060504, 0x03020100)))
    assert.equal('be552412f8387315', text(siphash('\0', 0x07060504, 0x03020100)))
    assert.equal('064f39ef7c50eb57', text(siphash('\0\1', 0x07060504, 0x03020100)))
  end)
end)

describe('networks', function()
  local rows = {
    { '10.1.2.3', bytes(10, 1, 2, 3), true }, { '10.0.0.0/8', bytes(10, 9, 9, 9), true },
    { '10.0.0.0/8', bytes(11, 0, 0, 0), false },
    { '10.1.2.128/25', bytes(10, 1, 2, 129), true }, { '10.1.2.128/25', bytes(10, 1, 2, 127), false },
    { '0.0.0.0/0', bytes(1, 2, 3, 4), true }, { '0.0.0.0/0', string.rep('\0', 16), false },
    { 'fd00::/8', bytes(0xfd, 1) .. string.rep('\0', 14), true }, { '::1', string.rep('\0', 15) .. '\1', true },
    { '2001:db8::7', bytes(0x20, 1, 0x0d, 0xb8) .. string.rep('\0', 11) .. '\7', true },
    { '::ffff:1.2.3.4', string.rep('\0', 10) .. '\255\255' .. bytes(1, 2, 3, 4), true },
    { '1:2:3:4:5:6:7:8', bytes(0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8), true },
  }
  for _, row in ipairs(rows) do
    it(row[1] .. (row[3] and ' contains ' or ' does not contain ') .. row[2]:gsub('.', function(c) return c:byte() .. ' ' end),
      function()
      assert.equal(row[3], network.contains({ network.parse(row[1]) }, row[2]))
    end)
  end

  it('are no texts that are none', function()
    for _, text in ipairs { '', '10.0.0.0/33', 'x', '10.0.0/8', '::/129', '10.0.0.1/', '/8', 'fd00::1::/8', '10.0.0.0/8/8' } do
      assert.is_nil(network.parse(text), text)
    end
  end)

  it('take an IPv4 address on a socket of IPv6 for what it is', function()
    assert.equal(bytes(1, 2, 3, 4), network.plain(string.rep('\0', 10) .. '\255\255' .. bytes(1, 2, 3, 4)))
    assert.equal(bytes(1, 2, 3, 4), network.plain(bytes(1, 2, 3, 4)))
  end)
end)

describe('the key of a limit', function()
  local function hash(parts, request)
    return table.concat({ key.hash(key.new(parts), request, 11, 22) }, ' ')
  end

  it('is made of parts that are known', function()
    for _, part in ipairs { 'client_ip', 'client_ip/24/56', 'client_ip/1/1', 'header:X-User', 'cookie:sid' } do
      assert.is_true(key.is_part(part), part)
    end
    for _, part in ipairs { '', 'ip', 'client_ip/0/64', 'client_ip/33/64', 'client_ip/24', 'client_ip/24/129', 'header:',
      'header:a b', 'Header:x', 'cookie:a;b', 'header:a\n', 7, true } do
      assert.is_false(key.is_part(part), tostring(part))
    end
  end)

  it('distinguishes clients by their address, of IPv6 by the network of a site', function()
    local function of(address) return hash({ 'client_ip' }, { binary_remote_addr = address }) end
    assert.not_equal(of(bytes(10, 0, 0, 1)), of(bytes(10, 0, 0, 2)))
    local site = bytes(0x20, 1, 0, 0, 0, 0, 0, 1)
    assert.equal(of(site .. string.rep('\1', 8)), of(site .. string.rep('\2', 8)))
    assert.not_equal(of(site .. string.rep('\1', 8)), of(bytes(0x20, 1, 0, 0, 0, 0, 0, 2) .. string.rep('\1', 8)))
    assert.equal(of(bytes(10, 0, 0, 1)), of(string.rep('\0', 10) .. '\255\255' .. bytes(10, 0, 0, 1)))
  end)

  it('cuts addresses where it is asked to', function()
    local function of(address) return hash({ 'client_ip/20/56' }, { binary_remote_addr = address }) end
    assert.equal(of(bytes(10, 0, 16, 1)), of(bytes(10, 0, 31, 255)))
    assert.not_equal(of(bytes(10, 0, 15, 255)), of(bytes(10, 0, 16, 0)))
  end)

  it('of several parts is all of them: none runs over into the next', function()
    local parts = { 'header:X-User', 'cookie:sid' }
    local function of(user, sid) return hash(parts, { http_x_user = user, cookie_sid = sid }) end
    local seen = {}
    for _, one in ipairs { of('ab', 'c'), of('a', 'bc'), of('abc', nil), of(nil, 'abc'), of('', 'ab'), of('c', 'ab') } do
      assert.is_nil(seen[one])
      seen[one] = true
    end
    assert.equal(of(nil, 'abc'), of('', 'abc'))
    assert.equal(hash({}, {}), hash({}, { http_x_user = 'a' }))
  end)
end)

describe('the slots', function()
  local function new(count)
    local array = {}
    for i = 0, count - 1 do array[i] = { high = 0, low = 0, at = 0, spent = 0, before = 0, idle_at = 0 } end
    return slots.new(array, count)
  end

  it('find again what they have', function()
    local all = new(64)
    local slot = all:find(5, 9, 100)
    slot.at, slot.idle_at = 7, 200
    assert.equal(slot, all:find(5, 9, 100))
    assert.equal(slot, all:seek(5, 9))
    assert.is_nil(all:seek(6, 9))
    assert.is_nil(all:seek(5, 10))
  end)

  it('give a new key the place of the one that is soonest idle, and count what said something', function()
    local all = new(8)
    for i = 1, 8 do all:find(1, i, 100).idle_at = 100 + i * 10 end
    -- The first is idle by now: forgetting it costs nothing.
    all:find(2, 1, 115).idle_at = 500
    assert.is_nil(all:seek(1, 1))
    assert.equal(0, all.evicted)
    local fresh = all:find(2, 2, 115)
    assert.is_nil(all:seek(1, 2))
    assert.same({ 1, 0, 0, 0 }, { all.evicted, fresh.at, fresh.spent, fresh.idle_at })
  end)

  it('hold most keys that are in use while many more come once', function()
    local all, random, lost = new(4096), tools.random(7), 0
    local now = 1000
    for round = 1, 40 do
      now = now + 1
      for i = 1, 500 do
        local high, low = siphash('busy' .. i, 1, 2)
        local slot = all:find(high, low, now)
        if slot.at == 0 and round > 1 then lost = lost + 1 end
        -- In use: far from idle.
        slot.at, slot.idle_at = now, now + 60
      end
      for _ = 1, 5000 do
        local high, low = siphash('once' .. random(1000000000), 1, 2)
        local slot = all:find(high, low, now)
        slot.at, slot.idle_at = now, now + 0.01
      end
    end
    assert.equal(0, lost)
  end)
end)

describe('the settings of a limit', function()
  local function given(more)
    local all = {
      name = 'a', algorithm = 'token_bucket', key = {}, rate = '10/s', burst = 0, queue = 0, cost = 1, status = 429,
      mode = 'enforce', exempt = {}, routes = {},
    }
    for name, value in pairs(more) do all[name] = value end
    return all
  end

  it('have a rate per second, minute, hour or day', function()
    assert.same({ 100, 1 }, { limit.rate('100/s') })
    assert.same({ 7, 60 }, { limit.rate('7/m') })
    assert.same({ 1, 3600 }, { limit.rate('1/h') })
    assert.same({ 5, 86400 }, { limit.rate('5/d') })
    for _, text in ipairs { '', '0/s', '1', '1/w', '-1/s', '1.5/s', '01/s', '1000000001/s', ' 1/s' } do
      assert.is_nil(limit.rate(text), text)
    end
  end)

  local rows = {
    { {}, nil }, { { rate = '' }, 'rate' }, { { burst = 5, cost = 6 }, 'cost' }, { { burst = 5, cost = 5 }, nil },
    { { cost = 11 }, 'cost' },
    { { algorithm = 'concurrency', rate = '', burst = 5 }, nil }, { { algorithm = 'concurrency', rate = '' }, 'burst' },
    { { algorithm = 'concurrency', burst = 5 }, 'rate' },
    { { algorithm = 'concurrency', rate = '', burst = 5, cost = 6 }, 'burst' },
    { { algorithm = 'fixed_window', burst = 5 }, 'burst' }, { { algorithm = 'fixed_window' }, nil }, { { queue = 5 }, 'queue' },
    { { algorithm = 'leaky_bucket', queue = 5 }, nil }, { { algorithm = 'sliding_window', cost = 11 }, 'cost' },
  }
  for i, row in ipairs(rows) do
    it('go together, or the one that does not is named: ' .. i, function()
      assert.equal(row[2], limit.contradiction(given(row[1])))
    end)
  end

  it('give a bucket a second of its rate, if they do not say more', function()
    assert.equal(10, limit.burst(given {}))
    assert.equal(1, limit.burst(given { rate = '7/m' }))
    assert.equal(3, limit.burst(given { burst = 3 }))
  end)
end)
