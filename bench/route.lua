--- The cost of one look-up of a route, in nanoseconds, by what the routes are like; of 10,000 routes, or of 100.
--- Run: LUA_PATH='lua/?.lua;;' luajit bench/route.lua
local router = require 'ebbgate.core.router'
local route_rules = require 'ebbgate.core.route_rules'

local LOOKS, ROUNDS, MOST = 1000000, 5, 10000

local function is_service() return true end

local function no_pattern() return function() return false end end

local facts = {
  method = function() return 'GET' end, header = function() return 'a' end, argument = function() return nil end,
  client = function() return '\10\0\0\1' end,
}

--- `count` routes, and a request for the one of that number.
local KINDS = {
  { 'one host, a path each', function(i) return { host = 'a.test', path = '/s' .. i } end,
    function(i) return 'a.test', '/s' .. i .. '/x/y' end },
  { 'one host, paths of five depths', function(i) return { host = 'a.test', path = ('/s' .. i):rep(i % 5 + 1) } end,
    function(i) return 'a.test', ('/s' .. i):rep(i % 5 + 1) .. '/x' end },
  { 'a host each', function(i) return { host = 'h' .. i .. '.test', path = '/' } end,
    function(i) return 'h' .. i .. '.test', '/x' end, 4000 },
  { 'exact paths', function(i) return { host = 'a.test', path = '/s' .. i, match = 'exact' } end,
    function(i) return 'a.test', '/s' .. i end },
  { 'a method each', function(i) return { host = 'a.test', path = '/s' .. i, name = 'r', methods = { 'GET' } } end,
    function(i) return 'a.test', '/s' .. i .. '/x' end },
  { 'a header each', function(i)
    return { host = 'a.test', path = '/s' .. i, name = 'r', headers = { { name = 'x', exact = 'a' } } }
  end, function(i) return 'a.test', '/s' .. i .. '/x' end },
  { 'eight at each path, the last one fits', function(i)
    local place, turn = math.floor((i - 1) / 8), (i - 1) % 8
    return {
      host = 'a.test', path = '/s' .. place, name = 'r', priority = 8 - turn,
      methods = { turn == 7 and 'GET' or 'POST' },
    }
  end, function(i) return 'a.test', '/s' .. math.max(0, math.floor((i - 1) / 8) - 1) .. '/x' end },
}

local function build(kind, count)
  local given = {}
  for i = 1, count do
    given[i] = kind[2](i)
    given[i].service = 'shop'
  end
  return router.new(assert(route_rules.read(given, is_service)), no_pattern)
end

--- Hosts and paths of requests, made before they are measured.
local function requests(kind, count)
  local hosts, paths, size = {}, {}, 4096
  for i = 0, size - 1 do
    -- Hosts that are asked for often are remembered; those beyond are an attack.
    hosts[i], paths[i] = kind[3](i * 7919 % math.min(count, kind[4] or count) + 1)
  end
  return hosts, paths, size
end

local function cost(kind, count)
  local subject, least = build(kind, count), math.huge
  local hosts, paths, size = requests(kind, count)
  for _ = 1, ROUNDS do
    local found, began = 0, os.clock()
    for i = 1, LOOKS do
      if subject:match(hosts[i % size], paths[i % size], facts) then found = found + 1 end
    end
    least = math.min(least, (os.clock() - began) / LOOKS * 1e9)
    assert(found == LOOKS, kind[1])
  end
  return least
end

print('routes\t100\t10000')
for _, kind in ipairs(KINDS) do
  print(('%s\t%.0f\t%.0f'):format(kind[1], cost(kind, 100), cost(kind, MOST)))
end
