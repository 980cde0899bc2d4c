--- The router against docs/contract/route_examples.json, which the control plane's own matcher is held to as well.
package.path = 'lua/spec/?.lua;' .. package.path
local tools = require 'tools'
local pcre = require 'pcre'
local network = require 'ebbgate.core.network'
local query = require 'ebbgate.core.query'
local router = require 'ebbgate.core.router'
local wire = require 'ebbgate.core.wire'

--- A request as core/route_condition.lua asks for it.
local function facts(request)
  return {
    method = function() return request.method or 'GET' end,
    header = function(name)
      local values = {}
      for _, line in ipairs(request.headers or {}) do
        if line[1] == name then values[#values + 1] = line[2] end
      end
      return values[1] and table.concat(values, ', ') or nil
    end,
    argument = function(name) return query.first(request.query, name) end,
    client = function() return network.parse(request.client or '203.0.113.9').bytes end,
  }
end

for _, example in ipairs(tools.json(tools.contract('route_examples'))) do
  describe('routes by ' .. example.about, function()
    local payload = tools.quote({ v = 1, service = '@routes', routes = example.routes })
    local document = assert(wire.decode('@routes', payload, tools))
    local subject = router.new(document.routes, pcre)
    for i, request in ipairs(example.requests) do
      local wanted = request.takes ~= tools.null and request.takes or nil
      it(('%d: %s%s goes to %s'):format(i, request.host, request.path, tostring(wanted)), function()
        for _ = 1, 2 do
          local found = subject:match(request.host, request.path, facts(request))
          assert.equal(wanted, found and found.service)
        end
      end)
    end
  end)
end

describe('the router', function()
  local hosts, paths = { '*', 'a.b', '*.b' }, { '/', '/p', '/p/q' }
  local random = tools.random(5)

  local function draw(list) return list[random(#list)] end

  local function value_condition(name)
    local kind = random(4)
    if kind == 1 then return { name = name, exact = draw({ 'x', 'y' }) } end
    if kind == 2 then return { name = name, prefix = draw({ 'x', '' }) } end
    if kind == 3 then return { name = name, regex = draw({ 'x+', '[xy]' }) } end
    return { name = name, present = random(2) == 1 }
  end

  local function any_route(number)
    return {
      host = draw(hosts), path = draw(paths), service = 's' .. number, name = 'r' .. number,
      match = random(4) == 1 and 'exact' or nil, priority = random(3) == 1 and random(3) or nil,
      regex = random(5) == 1 and draw({ '/.*', '/p(?:/q)?', '/p' }) or nil,
      methods = random(3) == 1 and { draw({ 'GET', 'POST' }) } or nil,
      headers = random(3) == 1 and { value_condition('h') } or nil,
      query = random(4) == 1 and { value_condition('a') } or nil,
      clients = random(4) == 1 and { draw({ '10.0.0.0/8', '10.1.0.0/16' }) } or nil,
    }
  end

  local function any_request()
    return {
      host = draw({ 'a.b', 'c.b', 'other' }), path = draw({ '/', '/p', '/p/', '/p/q', '/p/q/r', '/pq' }),
      method = draw({ 'GET', 'POST' }), headers = random(2) == 1 and { { 'h', draw({ 'x', 'y', 'xx' }) } } or {},
      query = draw({ '', 'a=x', 'a=y', 'b=x&a=' }), client = draw({ '10.1.0.1', '10.2.0.1', '192.0.2.1' }),
    }
  end

  --- Written down once more, as docs/how-to/routing.md says it.
  local function meets(test, value)
    if test.present ~= nil then return test.present == (value ~= nil) end
    if value == nil then return false end
    return test.exact == value or test.prefix ~= nil and value:sub(1, #test.prefix) == test.prefix
      or test.regex ~= nil and pcre(test.regex)(value)
  end
  local function fits(route, request)
    local fact = facts(request)
    local host = route.host == '*' or route.host == request.host
      or route.host:sub(1, 2) == '*.' and request.host:sub(-#route.host + 1) == route.host:sub(2)
    local path = request.path == route.path
    if route.match ~= 'exact' then
      path = path or route.path == '/' or request.path:sub(1, #route.path + 1) == route.path .. '/'
    end
    if not host or not path then return false end
    if route.regex and not pcre(route.regex)(request.path) then return false end
    if route.methods and route.methods[1] ~= request.method then return false end
    if route.headers and not meets(route.headers[1], fact.header('h')) then return false end
    if route.query and not meets(route.query[1], fact.argument('a')) then return false end
    return not route.clients or network.contains({ network.parse(route.clients[1]) }, fact.client())
  end
  local function rank(route)
    local conditions = (route.regex and 1 or 0) + (route.methods and 1 or 0) + (route.headers and 1 or 0)
      + (route.query and 1 or 0) + (route.clients and 1 or 0)
    return (route.host == '*' and 0 or route.host:sub(1, 1) == '*' and 1 or 2) * 1e8 + (route.match == 'exact' and 1 or 0) * 1e7
      + #route.path * 1e5 + (route.priority or 0) * 1e2 + conditions
  end

  it('has a winner that fits, and none that fits comes before it, over random routes and requests', function()
    local found_some, conditional = 0, 0
    for _ = 1, 400 do
      local list, plain = {}, {}
      for i = 1, random(10) do
        local route = any_route(i)
        local key = tools.quote({ route.host, route.path, route.match or '', route.priority or 0 })
        local is_plain = not (route.regex or route.methods or route.headers or route.query or route.clients)
        if not is_plain or not plain[key] then list[#list + 1] = route end
        if is_plain then plain[key] = true end
      end
      local payload = tools.quote({ v = 1, service = '@routes', routes = list })
      local document = assert(wire.decode('@routes', payload, tools))
      local subject = router.new(document.routes, pcre)
      for _ = 1, 12 do
        local request = any_request()
        local best
        for _, route in ipairs(list) do
          if fits(route, request) and (not best or rank(route) > rank(best)) then best = route end
        end
        local found = subject:match(request.host, request.path, facts(request))
        tools.ensure((found == nil) == (best == nil), 'for %s: %s', tools.quote(request), payload)
        if found then
          local winner
          for _, route in ipairs(list) do if route.service == found.service then winner = route end end
          tools.ensure(fits(winner, request) and rank(winner) == rank(best), 'for %s: %s', tools.quote(request), payload)
          found_some = found_some + 1
          if found.conditions then conditional = conditional + 1 end
        end
      end
    end
    assert.is_true(found_some > 1000 and conditional > 300)
  end)
end)
