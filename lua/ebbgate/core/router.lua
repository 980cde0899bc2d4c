--- Chooses the service of a request by host and path.
---
--- The most specific host wins (exact, then the longest `*.suffix`, then `*`), within it the longest path that is a prefix
--- at a segment's border. A host without a fitting path passes the request on to the next less specific one.
local byte, sub, find = string.byte, string.sub, string.find
local sort = table.sort

local router = {}
router.__index = router

local SLASH = byte('/')
--- Which route lists a host meets is remembered for this many hosts; a flood of invented ones starts it again.
local REMEMBERED_HOSTS = 4096

--- One host's routes: path → service, and the distinct lengths of the paths, longest first.
local function new_list()
  return { services = {}, lengths = {} }
end

local function add(list, path, service)
  list.services[path] = service
  local length = #path
  for _, known in ipairs(list.lengths) do
    if known == length then return end
  end
  list.lengths[#list.lengths + 1] = length
end

--- `routes` as wire.decode gives them.
function router.new(routes)
  local lists = {}
  for _, route in ipairs(routes) do
    lists[route.host] = lists[route.host] or new_list()
    add(lists[route.host], route.path, route.service)
  end
  for _, list in pairs(lists) do
    sort(list.lengths, function(a, b) return a > b end)
  end
  return setmetatable({ lists = lists, hosts = {}, remembered = 0 }, router)
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

local function match_path(list, path)
  local lengths, size = list.lengths, #path
  for i = 1, #lengths do
    local length = lengths[i]
    -- The border first: it is free, the substring is not.
    if length <= size
      and (length == size or byte(path, length + 1) == SLASH or byte(path, length) == SLASH)
    then
      local service = list.services[length == size and path or sub(path, 1, length)]
      if service then return service end
    end
  end
  return nil
end

--- The service for `host` (lower case, no port) and `path` (no query), or nil.
function router:match(host, path)
  local found = self.hosts[host]
  if not found then
    found = lists_of(self, host)
    if self.remembered >= REMEMBERED_HOSTS then self.hosts, self.remembered = {}, 0 end
    self.hosts[host], self.remembered = found, self.remembered + 1
  end
  for i = 1, #found do
    local service = match_path(found[i], path)
    if service then return service end
  end
  return nil
end

return router
