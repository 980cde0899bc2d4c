--- Chooses the route of a request.
---
--- The most specific host wins (exact, then the longest `*.suffix`, then `*`). Within it an exact path comes first, then the
--- longest path that is a prefix at a segment's border. Of several routes at one path that with the higher priority is asked
--- first, then that with more conditions. A host without a fitting route passes the request on to the next less specific one.
local route_actions = require 'ebbgate.core.route_actions'
local route_condition = require 'ebbgate.core.route_condition'

local byte, sub, find = string.byte, string.sub, string.find
local sort = table.sort
local count, holds = route_condition.count, route_condition.holds

local router = {}
router.__index = router

local SLASH = byte('/')
--- Which route lists a host meets is remembered for this many hosts; a flood of invented ones starts it again.
local REMEMBERED_HOSTS = 4096

--- One host's routes: paths that are exact, those that are prefixes, and the distinct lengths of the latter, longest first. A
--- path has its route; or, where something else decides, {among}: several in the order in which they are asked.
local function new_list()
  return { exact = false, prefixes = {}, lengths = {} }
end

local function add_length(list, length)
  for _, known in ipairs(list.lengths) do
    if known == length then return end
  end
  list.lengths[#list.lengths + 1] = length
end

--- What the router gives of a route: {service, name ('' = none), actions (core/route_actions.lua, false = none)}.
local function compiled(route, pattern)
  return {
    service = route.service, name = route.name or '', among = false, conditions = route_condition.new(route, pattern),
    actions = route_actions.new(route),
    priority = route.priority or 0, count = count(route),
  }
end

local function is_before(a, b)
  if a.priority ~= b.priority then return a.priority > b.priority end
  if a.count ~= b.count then return a.count > b.count end
  if a.service ~= b.service then return a.service < b.service end
  return a.name < b.name
end

local function add(list, route, pattern)
  local paths = list.prefixes
  if route.match == 'exact' then
    list.exact = list.exact or {}
    paths = list.exact
  else
    add_length(list, #route.path)
  end
  local one, there = compiled(route, pattern), paths[route.path]
  if not there then
    paths[route.path] = one.conditions and { among = { one } } or one
  elseif there.among then
    there.among[#there.among + 1] = one
  else
    paths[route.path] = { among = { there, one } }
  end
end

local function order(paths)
  for _, place in pairs(paths or {}) do
    if place.among then sort(place.among, is_before) end
  end
end

--- `routes` as wire.decode gives them. `pattern(text)` makes a test of whole texts of a pattern; needed if one has any.
function router.new(routes, pattern)
  local lists, conditional, shaping = {}, false, false
  for _, route in ipairs(routes) do
    lists[route.host] = lists[route.host] or new_list()
    add(lists[route.host], route, pattern)
    conditional = conditional or route.conditional == true
    shaping = shaping or (route.cors or route.response_headers) ~= nil
  end
  for _, list in pairs(lists) do
    sort(list.lengths, function(a, b) return a > b end)
    order(list.exact)
    order(list.prefixes)
  end
  return setmetatable({ lists = lists, hosts = {}, remembered = 0, conditional = conditional, shaping = shaping }, router)
end

--- The lists that fit `host`, most specific first.
local function lists_of(self, host)
  local found = { self.lists[host] }
  local dot = find(host, '.', 1, true)
  while dot do
    found[#found + 1] = self.lists['*' .. sub(host, dot)]
    dot = find(host, '.', dot + 1, true)
  end
  -- A request may call itself `*`, which is then no exact host.
  if host ~= '*' then found[#found + 1] = self.lists['*'] end
  return found
end

--- The first of several routes at one path whose conditions hold, or nil.
local function choose(among, path, facts)
  for i = 1, #among do
    local route = among[i]
    if not route.conditions or holds(route.conditions, path, facts) then return route end
  end
  return nil
end

local function match_path(list, path, facts)
  if list.exact then
    local route = list.exact[path]
    if route and route.among then route = choose(route.among, path, facts) end
    if route then return route end
  end
  local lengths, size = list.lengths, #path
  for i = 1, #lengths do
    local length = lengths[i]
    -- The border first: it is free, the substring is not.
    if length <= size
      and (length == size or byte(path, length + 1) == SLASH or byte(path, length) == SLASH)
    then
      local route = list.prefixes[length == size and path or sub(path, 1, length)]
      if route and route.among then route = choose(route.among, path, facts) end
      if route then return route end
    end
  end
  return nil
end

--- The route for `host` (lower case, no port) and `path` (decoded, no query), or nil. `facts`: the rest of the request
--- (core/route_condition.lua); needed if the router is `conditional`.
function router:match(host, path, facts)
  local found = self.hosts[host]
  if not found then
    found = lists_of(self, host)
    if self.remembered >= REMEMBERED_HOSTS then self.hosts, self.remembered = {}, 0 end
    self.hosts[host], self.remembered = found, self.remembered + 1
  end
  for i = 1, #found do
    local route = match_path(found[i], path, facts)
    if route then return route end
  end
  return nil
end

return router
