package.path = 'lua/spec/?.lua;' .. package.path
local upstream = require 'ebbgate.core.upstream'
local selection = require 'ebbgate.core.selection'
local tools = require 'tools'
local wire = require 'ebbgate.core.wire'

local function set(peers)
  return {
    kind = 'set', service = 'shop', balancer = { algorithm = 'weighted_round_robin' }, retry = { tries = 3 },
    timeouts = { connect_ms = 500, send_ms = 1000, read_ms = 2000 }, peers = peers,
  }
end
local function peer(id, changes)
  local p = { id = id, host = '10.0.0.1', port = 80, version = 'v1', weight = 1, down = false, state = 'up' }
  for name, value in pairs(changes or {}) do p[name] = value end
  return p
end

describe('eligible', function()
  local rows = {
    { {}, true }, { { state = 'suspect' }, true }, { { weight = 0 }, false }, { { down = true }, false },
    { { state = 'draining' }, false }, { { state = 'unready' }, false }, { { state = 'isolated' }, false },
    { { state = 'cut' }, false }, { { state = 'gone' }, false }, { { state = 'never heard of' }, false },
    { { state = 'suspect', down = true }, false },
  }
  for _, row in ipairs(rows) do
    local p = peer('a', row[1])
    it(('is %s for state %s, weight %d, down %s'):format(tostring(row[2]), p.state, p.weight, tostring(p.down)), function()
      assert.equal(row[2], selection.eligible(p))
    end)
  end
end)

describe('a upstream', function()
  it('is built from the example of the contract', function()
    local document = assert(wire.decode('orders', tools.example('set'), tools))
    local built = upstream.build(document, 'w', nil, {}, 0)
    assert.equal(2, built.tries)
    assert.equal(0.5, built.timeouts.connect)
    assert.equal('[2001:db8::9]', built.by_id['orders-9'].address)
    assert.equal('w|orders|10.0.1.7:8080', built.by_id['10.0.1.7:8080'].peer.key)
    for _ = 1, 10 do assert.equal('10.0.1.7:8080', built.picker:pick().id) end
  end)

  it('keeps the state of an instance over sets, and gives a request the version it was picked with', function()
    local first = upstream.build(set({ peer('a'), peer('b') }), 'w', nil, {}, 0)
    local state = first.by_id.a.peer
    state.open = 7
    local second = upstream.build(set({ peer('a', { version = 'v2', port = 81 }), peer('c') }), 'w', first, {}, 0)
    assert.equal(state, second.by_id.a.peer)
    assert.equal(7, second.by_id.a.peer.open)
    assert.equal('v1', first.by_id.a.version)
    assert.equal('v2', second.by_id.a.version)
    assert.is_nil(second.by_id.b)
  end)

  it('finds an instance again that left with requests open', function()
    local first = upstream.build(set({ peer('a') }), 'w', nil, {}, 0)
    local state, retiring = first.by_id.a.peer, {}
    state.open, state.retired, state.retiring, retiring.a = 1, true, retiring, state
    local second = upstream.build(set({}), 'w', first, retiring, 0)
    local third = upstream.build(set({ peer('a') }), 'w', second, retiring, 0)
    assert.equal(state, third.by_id.a.peer)
    assert.is_false(state.retired)
    assert.is_nil(retiring.a)
    assert.is_nil(state.retiring)
  end)

  it('lets only the picker in force watch its instances, and nobody those that left', function()
    local function with(algorithm, peers)
      local document = set(peers)
      document.balancer = { algorithm = algorithm, max_load_percent = 125, hash_on = { source = 'path', name = '' } }
      return document
    end
    local first = upstream.build(with('least_connections', { peer('a'), peer('b'), peer('c') }), 'w', nil, {}, 0)
    assert.equal(first.picker, first.by_id.b.peer.watcher)
    local peers = { peer('a'), peer('b', { state = 'draining' }) }
    local second = upstream.build(with('consistent_hash', peers), 'w', first, {}, 0)
    assert.equal(second.picker, first.by_id.a.peer.watcher)
    assert.is_false(first.by_id.b.peer.watcher)
    assert.is_false(first.by_id.c.peer.watcher)
    upstream.build(with('random', peers), 'w', second, {}, 0)
    assert.is_false(first.by_id.a.peer.watcher)
  end)

  it('of a tombstone has nobody', function()
    local built = upstream.build({ kind = 'tombstone', service = 'shop' }, 'w', nil, {}, 0)
    assert.is_true(built.removed)
    assert.is_nil(built.picker:pick())
  end)
end)
