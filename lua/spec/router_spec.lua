local router = require 'ebbgate.core.router'

local routes = {
  { host = '*', path = '/', service = 'any' },
  { host = '*', path = '/only/any', service = 'only-any' },
  { host = '*.example.com', path = '/', service = 'wild' },
  { host = '*.eu.example.com', path = '/', service = 'wild-eu' },
  { host = 'api.example.com', path = '/orders', service = 'orders' },
  { host = 'api.example.com', path = '/orders/archive', service = 'archive' },
  { host = 'api.example.com', path = '/exact/', service = 'slash' },
  { host = 'lone.test', path = '/a', service = 'lone' },
  { host = '[::1]', path = '/', service = 'six' },
}

describe('the router', function()
  local rows = {
    { 'other.test', '/', 'any' },
    { 'other.test', '/only/any', 'only-any' },
    { 'other.test', '/only/any/x', 'only-any' },
    { 'other.test', '/only/anything', 'any' },
    { 'example.com', '/', 'any', 'a wildcard wants a label before it' },
    { 'a.example.com', '/', 'wild' },
    { 'a.b.example.com', '/x', 'wild' },
    { 'a.eu.example.com', '/', 'wild-eu' },
    { 'eu.example.com', '/', 'wild' },
    { 'api.example.com', '/orders', 'orders' },
    { 'api.example.com', '/orders/', 'orders' },
    { 'api.example.com', '/orders/7', 'orders' },
    { 'api.example.com', '/orders/archive', 'archive' },
    { 'api.example.com', '/orders/archive/1', 'archive' },
    { 'api.example.com', '/orders/archived', 'orders' },
    { 'api.example.com', '/ordersx', 'wild', 'not a segment: falls through to the wildcard' },
    { 'api.example.com', '/', 'wild' },
    { 'api.example.com', '/exact/x', 'slash' },
    { 'api.example.com', '/exact', 'wild' },
    { 'lone.test', '/a', 'lone' },
    { 'lone.test', '/b', 'any', 'falls through to *' },
    { '[::1]', '/', 'six' },
    { '*', '/', 'any' },
    { '', '/', 'any' },
    { '..', '/', 'any' },
  }
  for _, row in ipairs(rows) do
    it(('sends %s%s to %s'):format(row[1], row[2], row[3]), function()
      local subject = router.new(routes)
      assert.equal(row[3], subject:match(row[1], row[2]).service)
      assert.equal(row[3], subject:match(row[1], row[2]).service, 'remembered')
    end)
  end

  it('knows nothing without routes', function()
    assert.is_nil(router.new({}):match('a', '/'))
    assert.is_nil(router.new({ { host = 'a', path = '/x', service = 's' } }):match('b', '/x'))
    assert.is_nil(router.new({ { host = 'a', path = '/x', service = 's' } }):match('a', '*'))
  end)

  it('does not remember hosts without end', function()
    local subject = router.new(routes)
    for i = 1, 20000 do subject:match('host' .. i .. '.test', '/') end
    local count = 0
    for _ in pairs(subject.hosts) do count = count + 1 end
    assert.is_true(count <= 4096)
  end)

  it('has the same winner as the plain reading of the contract', function()
    local tools = require 'tools'
    local random = tools.random(11)
    local hosts = { '*', 'a.b', '*.b', 'x.a.b', '*.a.b' }
    local paths = { '/', '/p', '/p/q', '/p/q/r', '/pq' }

    local function fits(route, host, path)
      local host_fits = route.host == '*' or route.host == host
        or (route.host:sub(1, 2) == '*.' and host:sub(-(#route.host - 1)) == route.host:sub(2))
      return host_fits and (route.path == '/' or path == route.path or path:sub(1, #route.path + 1) == route.path .. '/')
    end
    local function rank(route, host)
      return (route.host == host and 10000 or #route.host * 10) + (route.host == '*' and 0 or 1)
    end
    local function plain(list, host, path)
      local best
      for _, route in ipairs(list) do
        if fits(route, host, path) then
          local better = not best or rank(route, host) > rank(best, host)
            or (rank(route, host) == rank(best, host) and #route.path > #best.path)
          if better then best = route end
        end
      end
      return best and best.service
    end

    for _ = 1, 300 do
      local list, seen = {}, {}
      for _ = 1, random(8) do
        local route = { host = hosts[random(#hosts)], path = paths[random(#paths)], service = 's' .. random(1000000) }
        if not seen[route.host .. route.path] then list[#list + 1] = route end
        seen[route.host .. route.path] = true
      end
      local subject = router.new(list)
      for _, host in ipairs({ 'a.b', 'x.a.b', 'y.x.a.b', 'c.b', 'other' }) do
        for _, path in ipairs({ '/', '/p', '/p/', '/p/q', '/p/q/r/s', '/pq', '/pqr' }) do
          local found = subject:match(host, path)
          assert.equal(plain(list, host, path), found and found.service)
        end
      end
    end
  end)
end)
