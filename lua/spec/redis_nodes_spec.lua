local nodes = require 'ebbgate.core.redis_nodes'

local a, b = { host = '10.0.0.1', port = 1 }, { host = '10.0.0.2', port = 2 }

describe('who may be written', function()
  it('is the master of the highest epoch, though more sentinels name another one', function()
    local old, now = { node = a, epoch = 3 }, { node = b, epoch = 4 }
    assert.same(b, nodes.newest({ old, now, old }))
    assert.is_nil(nodes.newest({}))
    assert.same(now, nodes.read_master({ 'name', 'm', 'ip', '10.0.0.2', 'port', '2', 'config-epoch', '4' }))
    for _, bad in ipairs({ false, {}, { 'ip', '', 'port', '2' }, { 'ip', 'h', 'port', '0' }, { 'port', '2' } }) do
      assert.is_nil(nodes.read_master(bad))
    end
  end)

  it('is the master of the range with our slot; without a host the node that was asked', function()
    local function range(first, last, host) return { first, last, { host, 2, 'id' } } end
    assert.same(b, nodes.read_owner({ range(0, nodes.SLOT - 1, 'x'), range(nodes.SLOT, nodes.SLOT, '10.0.0.2') }, a))
    assert.same({ host = a.host, port = 2 }, nodes.read_owner({ range(0, 16383, '') }, a))
    for _, bad in ipairs({ false, {}, { range(0, 1, 'x') }, { range(0, 16383, '?') }, { { 0, 16383 } } }) do
      assert.is_nil(nodes.read_owner(bad, a))
    end
    assert.same(b, nodes.most_named({ a, b, b }))
    assert.same(a, nodes.most_named({ a, b }))
    assert.is_nil(nodes.most_named({}))
  end)

  it('is named by a redirect, and by no other error', function()
    assert.same({ 'moved', b }, { nodes.redirect('MOVED 4407 10.0.0.2:2', a) })
    assert.same({ 'ask', { host = '::1', port = 7 } }, { nodes.redirect('ASK 4407 [::1]:7', a) })
    assert.same({ 'moved', { host = a.host, port = 2 } }, { nodes.redirect('MOVED 4407 :2', a) })
    for _, other in ipairs({ 'ERR x', 'MOVED 4407 ?:2', 'MOVED x', 'TRYAGAIN Multiple keys', 'closed' }) do
      assert.is_nil(nodes.redirect(other, a))
    end
  end)
end)
