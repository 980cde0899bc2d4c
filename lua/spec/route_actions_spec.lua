local route_actions = require 'ebbgate.core.route_actions'
local route_rules = require 'ebbgate.core.route_rules'
local network = require 'ebbgate.core.network'

--- The actions of a route that says `more`.
local function actions_of(more, path)
  local route = { host = '*', path = path or '/', service = 's', name = 'r' }
  for name, value in pairs(more) do route[name] = value end
  return route_actions.new(assert(route_rules.read({ route }, function() return true end))[1])
end

describe('the actions of a route', function()
  it('are none where it does nothing', function()
    assert.is_false(actions_of({}))
    assert.is_false(actions_of({ methods = { 'GET' } }))
    assert.is_false(actions_of({ max_body_bytes = 0, allow = {} }))
    assert.is_false(actions_of({ rewrite_prefix = '/x' }).shapes)
    assert.is_true(actions_of({ response_headers = { remove = { 'server' } } }).shapes)
  end)

  it('admit who is allowed and not denied', function()
    local subject = actions_of({ allow = { '10.0.0.0/8', 'fd00::/8' }, deny = { '10.1.0.0/16' } })
    local function admits(address) return route_actions.admits(subject, network.plain(network.parse(address).bytes)) end
    assert.is_true(admits('10.2.0.1') and admits('fd00::1'))
    assert.is_false(admits('10.1.0.1') or admits('192.0.2.1') or admits('::1'))
    assert.is_true(route_actions.admits(actions_of({ deny = { '10.0.0.0/8' } }), network.parse('192.0.2.1').bytes))
  end)

  for _, row in ipairs({
    { '/api/x', '/api', '/v2', '/v2/x' }, { '/api', '/api', '/v2', '/v2' }, { '/api', '/api', '/', '/' },
    { '/api/', '/api', '/', '/' }, { '/api/x/y', '/api', '/', '/x/y' }, { '/x', '/', '/v2', '/v2/x' },
    { '/', '/', '/v2', '/v2/' },
    { '/x', '/', '/', '/x' },
  }) do
    it(('move %s from %s to %s: %s'):format(row[1], row[2], row[3], row[4]), function()
      assert.equal(row[4], route_actions.moved(row[1], row[2], row[3]))
    end)
  end

  local function location(redirect, request, path)
    local asked = { scheme = 'http', host = 'a.test:8080', name = 'a.test', path = '/old/x', target = '/old/x?q=1', args = 'q=1' }
    for name, value in pairs(request or {}) do asked[name] = value end
    return route_actions.location(actions_of({ redirect = redirect }, path or '/old'), asked)
  end

  it('send elsewhere, with the query and the path as it was sent', function()
    assert.equal('https://a.test/old/x?q=1', location({ scheme = 'https' }))
    assert.is_nil(location({ scheme = 'https' }, { scheme = 'https' }))
    assert.equal('http://b.test:81/old/x?q=1', location({ host = 'b.test:81' }))
    assert.is_nil(location({ host = 'a.test' }))
    assert.equal('http://a.test:8080/new?q=1', location({ path = '/new' }))
    assert.equal('http://a.test:8080/new/x?q=1', location({ prefix = '/new' }))
    assert.equal('https://b.test/x?q=1', location({ scheme = 'https', host = 'b.test', prefix = '/' }))
    assert.is_nil(location({ path = '/old/x' }))
    assert.equal('https://a.test/%6Fld/a%2Fb', location({ scheme = 'https' }, { target = '/%6Fld/a%2Fb', args = '' }))
  end)

  it('cannot be made to send to a host of the client, nor to break a line', function()
    for _, target in ipairs({ '//evil.test/x', '/\\evil.test', '/@evil.test', 'http://evil.test/x', 'http://evil.test' }) do
      for _, redirect in ipairs({ { scheme = 'https' }, { host = 'b.test' } }) do
        local found = location(redirect, { target = target, path = '/evil.test/x' }, '/')
        assert.equal(redirect.host or 'a.test', found:match('^https?://([^/]*)/'))
      end
    end
    local broken = location({ prefix = '/' }, { path = '/old/a\r\nX-Evil: 1/\233"%', args = 'a\r\nb\127' })
    assert.equal('http://a.test:8080/a%0D%0AX-Evil:%201/%E9%22%25?a%0D%0Ab%7F', broken)
  end)

  it('say which origins may read', function()
    local some = actions_of({ cors = { origins = { 'https://a.test' }, credentials = true } }).cors
    assert.equal('https://a.test', route_actions.allowed_origin(some, 'https://a.test'))
    for _, origin in ipairs({ 'https://a.test.evil', 'http://a.test', 'null', 'https://A.test', '*' }) do
      assert.is_nil(route_actions.allowed_origin(some, origin))
    end
    assert.is_nil(route_actions.allowed_origin(some, nil))
    assert.equal('*', route_actions.allowed_origin(actions_of({ cors = { origins = { '*' } } }).cors, 'https://x'))
    assert.equal('GET, HEAD, POST', some.methods)
  end)
end)
