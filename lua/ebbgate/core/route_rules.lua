--- Reads the routes of the contract (docs/contract/wire.md), and trusts nothing in them.
local network = require 'ebbgate.core.network'
local rules = require 'ebbgate.core.rules'

local find, match = string.find, string.match
local is_array, list, number, objects, one_of, text = rules.is_array, rules.list, rules.number, rules.objects, rules.one_of,
  rules.text

local route_rules = {}

local DAY_MS = 86400000

local function printable(most)
  local rule = text('^[\32-\126]*$', most)
  return function(given)
    if given == nil then return nil, false end
    return rule(given)
  end
end

local function flag(given)
  if given == nil then return nil, false end
  return given, type(given) ~= 'boolean'
end

local function conditions(name_pattern)
  return objects({
    name = text(name_pattern, 64), exact = printable(256), prefix = printable(256), regex = printable(256), present = flag,
  }, 8, function() return nil end)
end

local function optional(rule)
  return function(given)
    if given == nil then return nil, false end
    return rule(given)
  end
end

local header_name = text('^[a-z0-9-]+$', 64)
local header_values = objects({ name = header_name, value = text('^[\32-\126]*$', 1024) }, 16, function() return nil end)
local changes = rules.object({ set = header_values, add = header_values, remove = list(header_name, 16, {}) }, true)

local function plain_path(given)
  if type(given) ~= 'string' or #given > 1024 or not match(given, "^/[A-Za-z0-9._~!$&'()*+,;=:@/-]*$") then return nil, true end
  return given, find(given, '//', 1, true) ~= nil or given ~= '/' and find(given, '/$') ~= nil
end

local function authority(given)
  if type(given) ~= 'string' or #given > 253 then return nil, true end
  local name, port = match(given, '^([^:]+):(%d+)$')
  if port and #port > 5 then return nil, true end
  name = name or given
  return given, not (match(name, '^[a-z0-9_]$') or match(name, '^[a-z0-9_][a-z0-9._-]*[a-z0-9]$'))
end

local function origin(given)
  if type(given) ~= 'string' or #given > 253 then return nil, true end
  if given == '*' then return given, false end
  local rest = match(given, '^https?://(.+)$')
  if not rest then return nil, true end
  local port = match(rest, '^%[[0-9a-f:.]+%]$') and '' or match(rest, '^%[[0-9a-f:.]+%]:(%d+)$')
  if port then return given, #port > 5 end
  return given, select(2, authority(rest))
end

local function method(given) return given, type(given) ~= 'string' or #given > 32 or not match(given, '^[A-Z][A-Z-]*$') end

local function one_network(given) return given, type(given) ~= 'string' or network.parse(given) == nil end

--- The name of a route.
route_rules.name = text('^[a-z0-9*_%[][A-Za-z0-9*._~!$&\'()+,;=:@%%/#%[%]-]*$', 128)

--- What a route may say beside host, path and service, with the limits and defaults of docs/contract/spec.json.
local CONDITIONS = {
  name = function(given)
    if given == nil then return '', false end
    return route_rules.name(given)
  end,
  match = one_of({ prefix = true, exact = true }, 'prefix'), priority = number(0, 1000, 0), regex = printable(256),
  methods = list(method, 16, {}), headers = conditions('^[a-z0-9-]+$'), query = conditions('^[A-Za-z0-9._~%[%]-]+$'),
  clients = list(one_network, 64, {}),
  allow = list(one_network, 64, {}), deny = list(one_network, 64, {}),
  maintenance = rules.object({
    status = number(400, 599, 503), body = text('^[\t\n\32-\126]*$', 4096, ''),
    content_type = one_of({ ['text/plain'] = true, ['text/html'] = true, ['application/json'] = true }, 'text/plain'),
    retry_after_s = number(0, 604800, 60),
  }, true),
  redirect = rules.object({
    scheme = optional(one_of({ http = true, https = true })), host = optional(authority), path = optional(plain_path),
    prefix = optional(plain_path), status = number(301, 308, 308),
  }, true),
  cors = rules.object({
    origins = list(origin, 64), methods = list(method, 16, { 'GET', 'HEAD', 'POST' }), headers = list(header_name, 32, {}),
    expose = list(header_name, 32, {}), credentials = rules.flag(false), max_age_s = number(0, 86400, 600),
  }, true),
  max_body_bytes = number(0, 1e12, 0), rewrite_prefix = optional(plain_path), request_headers = changes,
  response_headers = changes, tries = optional(number(1, 5)),
  timeouts = rules.object({
    connect_ms = optional(number(1, DAY_MS)), send_ms = optional(number(1, DAY_MS)), read_ms = optional(number(1, DAY_MS)),
    try_ms = optional(number(0, DAY_MS)), total_ms = optional(number(0, DAY_MS)),
  }, true),
}

--- Whether `host` is `*`, `*.suffix` or exact; lower case, no port. IPv6 literals are in brackets.
local function is_host(host)
  if type(host) ~= 'string' or #host > 253 then return false end
  if host == '*' then return true end
  local name = match(host, '^%*%.(.+)$') or host
  if match(name, '^%[[%x:.]+%]$') then return name == host end
  return match(name, '^[a-z0-9_-][a-z0-9._-]*$') ~= nil and not find(name, '..', 1, true) and match(name, '%.$') == nil
end

local function is_path(path)
  return type(path) == 'string' and #path <= 1024 and match(path, '^/[^%c%s?#]*$') ~= nil
end

--- True if the route says more than host, path and service: most do not.
local function says_more(route)
  local count = 0
  for _ in pairs(route) do count = count + 1 end
  return count > 3
end

--- Reads one route; or gives nil and the member that is wrong. One that says more than host, path and service has every default
--- filled in, `conditional`: true if it has conditions, and `acts`: true if it does something.
local function read(route, is_service)
  if type(route) ~= 'table' then return nil, 'it' end
  if not is_host(route.host) then return nil, 'host' end
  if not is_path(route.path) then return nil, 'path' end
  if not is_service(route.service) then return nil, 'service' end
  local made = { host = route.host, path = route.path, service = route.service }
  if not says_more(route) then return made end
  for name, rule in pairs(CONDITIONS) do
    local value, wrong = rule(route[name])
    if wrong then return nil, wrong == true and name or name .. '.' .. wrong end
    made[name] = value
  end
  made.conditional = made.regex ~= nil or #made.methods > 0 or #made.headers > 0 or #made.query > 0 or #made.clients > 0
  made.acts = #made.allow + #made.deny + made.max_body_bytes > 0
    or (made.maintenance or made.redirect or made.cors or made.rewrite_prefix) ~= nil
    or (made.request_headers or made.response_headers or made.timeouts or made.tries) ~= nil
  return made
end

--- The routes of a document; or nil and what is wrong. Two of which nothing but host and path is said must differ in one of them.
function route_rules.read(given, is_service)
  if not is_array(given) then return nil, 'routes is not an array' end
  local routes, seen = {}, {}
  for i = 1, #given do
    local route, wrong = read(given[i], is_service)
    if not route then return nil, 'routes.' .. (i - 1) .. '.' .. wrong end
    if not route.conditional then
      local key = route.host .. (route.match or 'prefix') .. route.path .. '|' .. (route.priority or 0)
      if seen[key] then return nil, 'routes.' .. (i - 1) .. ' is there twice' end
      seen[key] = true
    end
    routes[i] = route
  end
  return routes
end

return route_rules
