--- Reads the documents of the contract (docs/contract/wire.md), and trusts nothing in them.
---
--- `decode(name, payload, tools, hash)` gives the document with exactly the members named here, or nil, one of the codes
--- in `wire.CODES`, and a detail for people. `tools.json(text)` decodes JSON and may throw or return nil;
--- `tools.sha1(text)` is the lower-case hex digest, needed only with `hash`.
---   {kind = 'set', service, algorithm, timeouts, retry, health, peers, restless}
---   {kind = 'tombstone', service}
---   {kind = 'routes', service = '@routes', routes}
local address = require 'ebbgate.core.address'

local match, find, floor = string.match, string.find, math.floor

local wire = {}

wire.ROUTES = '@routes'
wire.MAX_BYTES = 4 * 1024 * 1024
wire.MAX_PEERS = 10000
wire.CODES = {
  hash_mismatch = true, bad_json = true, unknown_version = true, bad_document = true, too_large = true,
}

local DAY_MS = 86400000

--- True if `value` is a whole number from `low` to `high`: no NaN, no fraction, no null.
local function whole(value, low, high)
  return type(value) == 'number' and value >= low and value <= high and floor(value) == value
end

--- True if `value` is a table that came from a JSON array: keys 1 … n and no other.
local function is_array(value)
  if type(value) ~= 'table' then return false end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  return count == #value
end

--- Whether `name` may be a service's: it becomes part of keys, file names and labels.
function wire.is_service(name)
  return type(name) == 'string' and #name <= 128 and match(name, '^[a-z0-9][a-z0-9._-]*$') ~= nil
    and match(name, '[a-z0-9]$') ~= nil
end

--- Whether `name` may be that of a document.
function wire.is_name(name)
  return name == wire.ROUTES or wire.is_service(name)
end

local function is_instance(id)
  return type(id) == 'string' and #id <= 127 and match(id, '^[A-Za-z0-9._:%[%]-]+$') ~= nil
end

local function is_version(version)
  return type(version) == 'string' and #version <= 64 and match(version, '^[A-Za-z0-9._+-]*$') ~= nil
end

--- A peer's members, checked; or nil and what is wrong.
local function read_peer(peer, index, seen)
  local at = 'peers[' .. (index - 1) .. ']'
  if type(peer) ~= 'table' then return nil, at .. ' is not an object' end
  if not is_instance(peer.id) then return nil, at .. '.id' end
  if seen[peer.id] then return nil, at .. '.id is there twice' end
  if type(peer.host) ~= 'string' or not address.family(peer.host) then return nil, at .. '.host is not an IP literal' end
  if not whole(peer.port, 1, 65535) then return nil, at .. '.port' end
  if not is_version(peer.version) then return nil, at .. '.version' end
  if not whole(peer.weight, 0, 1000000) then return nil, at .. '.weight' end
  if type(peer.down) ~= 'boolean' then return nil, at .. '.down' end
  if type(peer.state) ~= 'string' then return nil, at .. '.state' end
  seen[peer.id] = true
  return {
    id = peer.id, host = peer.host, port = peer.port, version = peer.version,
    weight = peer.weight, down = peer.down, state = peer.state,
  }
end

local function read_peers(list)
  if not is_array(list) then return nil, 'bad_document', 'peers is not an array' end
  if #list > wire.MAX_PEERS then return nil, 'too_large', 'more than ' .. wire.MAX_PEERS .. ' peers' end
  local peers, seen, restless = {}, {}, false
  for i = 1, #list do
    local peer, wrong = read_peer(list[i], i, seen)
    if not peer then return nil, 'bad_document', wrong end
    peers[i] = peer
    restless = restless or not (peer.state == 'up' or peer.state == 'suspect')
  end
  return peers, restless
end

--- Copies the whole numbers of `section` that `limits` names as {low, high}; or nil and the name of a bad one.
local function read_numbers(section, limits)
  if type(section) ~= 'table' then return nil, 'is not an object' end
  local numbers = {}
  for name, limit in pairs(limits) do
    if not whole(section[name], limit[1], limit[2]) then return nil, name end
    numbers[name] = section[name]
  end
  return numbers
end

local SECTIONS = {
  timeouts = { connect_ms = { 1, DAY_MS }, send_ms = { 1, DAY_MS }, read_ms = { 1, DAY_MS } },
  retry = { tries = { 1, 5 } },
  health = { max_fails = { 0, 1000000 }, fail_timeout_ms = { 0, DAY_MS } },
}

local function read_set(document)
  local set = { kind = 'set', service = document.service }
  local balancer = document.balancer
  if type(balancer) ~= 'table' or balancer.algorithm ~= 'weighted_round_robin' then
    return nil, 'bad_document', 'balancer.algorithm'
  end
  set.algorithm = balancer.algorithm
  for name, limits in pairs(SECTIONS) do
    local numbers, wrong = read_numbers(document[name], limits)
    if not numbers then return nil, 'bad_document', name .. '.' .. wrong end
    set[name] = numbers
  end
  local peers, restless, wrong = read_peers(document.peers)
  if not peers then return nil, restless, wrong end
  set.peers, set.restless = peers, restless
  return set
end

--- Whether `host` is `*`, `*.suffix` or exact; lower case, no port. IPv6 literals stand in brackets.
local function is_route_host(host)
  if type(host) ~= 'string' or #host > 255 then return false end
  if host == '*' then return true end
  local name = match(host, '^%*%.(.+)$') or host
  if match(name, '^%[[%x:.]+%]$') then return name == host end
  return match(name, '^[a-z0-9_-][a-z0-9._-]*$') ~= nil and not find(name, '..', 1, true) and match(name, '%.$') == nil
end

local function is_route_path(path)
  return type(path) == 'string' and #path <= 1024 and match(path, '^/[^%c%s?#]*$') ~= nil
end

local function read_routes(document)
  if not is_array(document.routes) then return nil, 'bad_document', 'routes is not an array' end
  local routes, seen = {}, {}
  for i, route in ipairs(document.routes) do
    local at = 'routes[' .. (i - 1) .. ']'
    if type(route) ~= 'table' then return nil, 'bad_document', at .. ' is not an object' end
    if not is_route_host(route.host) then return nil, 'bad_document', at .. '.host' end
    if not is_route_path(route.path) then return nil, 'bad_document', at .. '.path' end
    if not wire.is_service(route.service) then return nil, 'bad_document', at .. '.service' end
    local key = route.host .. route.path
    if seen[key] then return nil, 'bad_document', at .. ' is there twice' end
    seen[key] = true
    routes[i] = { host = route.host, path = route.path, service = route.service }
  end
  return { kind = 'routes', service = wire.ROUTES, routes = routes }
end

function wire.decode(name, payload, tools, hash)
  if type(payload) ~= 'string' then return nil, 'bad_document', 'there is no payload' end
  if #payload > wire.MAX_BYTES then return nil, 'too_large', #payload .. ' bytes' end
  if hash and tools.sha1(payload) ~= hash then return nil, 'hash_mismatch', 'the payload does not have its hash' end
  local parsed, document = pcall(tools.json, payload)
  if not parsed or type(document) ~= 'table' then return nil, 'bad_json', 'the payload is not a JSON object' end
  if document.v ~= 1 then return nil, 'unknown_version', 'v is ' .. tostring(document.v) end
  if document.service ~= name then return nil, 'bad_document', 'service is not ' .. name end
  if name == wire.ROUTES then return read_routes(document) end
  if not wire.is_service(name) then return nil, 'bad_document', 'service' end
  if document.removed == true then return { kind = 'tombstone', service = name } end
  return read_set(document)
end

return wire
