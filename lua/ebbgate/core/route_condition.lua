--- What a route asks of a request beside its host and path. How to read it is the same in
--- control-plane/src/plan/routes/match.ts; docs/contract/route_examples.json holds both to it.
---
--- A request is asked through `facts`, functions that only routes with conditions call:
---   method()         in upper case
---   header(name)     all lines of that name (lower case) as one value, with ', ' between them; nil if there is none
---   argument(name)   the first query argument of that name, decoded; nil if there is none
---   client()         the address, as bytes (core/network.lua)
local network = require 'ebbgate.core.network'

local sub = string.sub

local route_condition = {}

--- A longer text matches no pattern: its matching is bounded.
local LONGEST_TEXT = 1024

--- A test of a value, with its pattern made. `pattern(text)` gives a function that says whether a whole text matches.
local function value_test(given, pattern)
  return {
    name = given.name, exact = given.exact, prefix = given.prefix, present = given.present,
    regex = given.regex and pattern(given.regex),
  }
end

local function value_tests(given, pattern)
  if #given == 0 then return false end
  local tests = {}
  for i, one in ipairs(given) do tests[i] = value_test(one, pattern) end
  return tests
end

--- The conditions of a route (core/route_rules.lua), or false if it has none.
function route_condition.new(route, pattern)
  if not route.conditional then return false end
  local methods = #route.methods > 0 and {}
  for _, method in ipairs(route.methods) do methods[method] = true end
  local clients = #route.clients > 0 and {}
  for i, text in ipairs(route.clients) do clients[i] = network.parse(text) end
  return {
    regex = route.regex and pattern(route.regex) or false, methods = methods, clients = clients,
    headers = value_tests(route.headers, pattern), query = value_tests(route.query, pattern),
  }
end

--- How many there are: of two routes for one host and path that with more of them is asked first.
function route_condition.count(route)
  if not route.conditional then return 0 end
  return (route.regex and 1 or 0) + math.min(#route.methods, 1) + #route.headers + #route.query + math.min(#route.clients, 1)
end

local function meets(test, value)
  if test.present ~= nil then return (value ~= nil) == test.present end
  if not value then return false end
  if test.exact then return value == test.exact end
  if test.prefix then return sub(value, 1, #test.prefix) == test.prefix end
  return test.regex ~= nil and #value <= LONGEST_TEXT and test.regex(value)
end

local function all_meet(tests, read)
  for i = 1, #tests do
    if not meets(tests[i], read(tests[i].name)) then return false end
  end
  return true
end

--- Whether a request meets all of `conditions`.
function route_condition.holds(conditions, path, facts)
  if conditions.methods and not conditions.methods[facts.method()] then return false end
  if conditions.clients and not network.contains(conditions.clients, network.plain(facts.client())) then return false end
  if conditions.headers and not all_meet(conditions.headers, facts.header) then return false end
  if conditions.query and not all_meet(conditions.query, facts.argument) then return false end
  return not conditions.regex or #path <= LONGEST_TEXT and conditions.regex(path)
end

return route_condition
