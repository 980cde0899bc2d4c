--- What a route does with its requests (control-plane/src/model/route_actions.ts), made ready for them.
local network = require 'ebbgate.core.network'

local byte, find, format, gsub, match, sub = string.byte, string.find, string.format, string.gsub, string.match, string.sub

local route_actions = {}

local SLASH = byte('/')

local function networks_of(given)
  local list = {}
  for i, text in ipairs(given) do list[i] = network.parse(text) end
  return #list > 0 and list
end

--- {remove, set, add}, or false if they change nothing.
local function changes_of(given)
  if not given or #given.remove + #given.set + #given.add == 0 then return false end
  return given
end

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do set[name] = true end
  return set
end

local function cors_of(given)
  if not given then return false end
  return {
    origins = set_of(given.origins), any = set_of(given.origins)['*'] == true, credentials = given.credentials,
    methods = table.concat(given.methods, ', '), headers = table.concat(given.headers, ', '),
    expose = table.concat(given.expose, ', '), max_age = given.max_age_s > 0 and tostring(given.max_age_s) or '0',
  }
end

--- The actions of a route (core/route_rules.lua); false if it has none, as most have. `shapes`: it changes heads of answers.
function route_actions.new(route)
  if not route.acts then return false end
  local actions = {
    path = route.path, allow = networks_of(route.allow), deny = networks_of(route.deny),
    maintenance = route.maintenance or false, redirect = route.redirect or false, cors = cors_of(route.cors),
    most = route.max_body_bytes > 0 and route.max_body_bytes, rewrite = route.rewrite_prefix or false,
    timeouts = route.timeouts or false, tries = route.tries or false, request = changes_of(route.request_headers),
    response = changes_of(route.response_headers),
  }
  actions.shapes = (actions.response or actions.cors) and true or false
  return actions
end

--- Whether a client (bytes of its address, network.plain) may use the route.
function route_actions.admits(actions, client)
  if actions.deny and network.contains(actions.deny, client) then return false end
  return not actions.allow or network.contains(actions.allow, client)
end

--- `path`, which is at or below `from`, with `to` in place of that.
function route_actions.moved(path, from, to)
  local rest = from == '/' and path or sub(path, #from + 1)
  if to == '/' then return byte(rest) == SLASH and rest or '/' .. rest end
  return to .. rest
end

local function escape_byte(character) return format('%%%02X', byte(character)) end

--- A decoded path as a URL has it.
local function escaped(path) return (gsub(path, "[^A-Za-z0-9._~!$&'()*+,;=:@/-]", escape_byte)) end

--- The path as the client sent it, of a target in whatever form.
local function sent_path(target)
  local path = byte(target) == SLASH and match(target, '^[^?#]*') or match(target, '^%a[%w+.-]*://[^/?#]*([^?#]*)') or '/'
  if path == '' then return '/' end
  return (gsub(path, '[^\33-\126]', escape_byte))
end

--- Where a request is sent; nil if it is there already. It is always a whole URL, so that a path like //elsewhere is no host.
---   request  {scheme, host (as the client said it, with its port), name (without), path (decoded), target (as it was sent),
---            args (behind the ?, or nil)}
function route_actions.location(actions, request)
  local redirect = actions.redirect
  local path = redirect.path or redirect.prefix and route_actions.moved(request.path, actions.path, redirect.prefix)
  local is_there = (not redirect.scheme or redirect.scheme == request.scheme) and (not path or path == request.path)
  if is_there and (not redirect.host or redirect.host == request.host or redirect.host == request.name) then return nil end
  -- A port belongs to its scheme.
  local moves = redirect.scheme and redirect.scheme ~= request.scheme
  local host = redirect.host or moves and request.name or request.host
  local args = request.args and request.args ~= '' and '?' .. gsub(request.args, '[^\33-\126]', escape_byte) or ''
  return (redirect.scheme or request.scheme) .. '://' .. host .. (path and escaped(path) or sent_path(request.target)) .. args
end

--- What CORS says of an origin: the value of Access-Control-Allow-Origin, or nil.
function route_actions.allowed_origin(cors, origin)
  if not origin then return nil end
  if cors.any then return '*' end
  return cors.origins[origin] and not find(origin, '[%c%s]') and origin or nil
end

return route_actions
