--- Reads the documents of the contract (docs/contract/wire.md), and trusts nothing in them.
---
--- `decode(name, payload, tools, hash)` gives the document with exactly the members named here, or nil, one of the codes
--- in `wire.CODES`, and a detail for people. `tools.json(text)` decodes JSON and may throw or return nil;
--- `tools.sha1(text)` is the lower-case hex digest, needed only with `hash`. `tools.profiles` is the set of TLS
--- profiles that this gateway has; nil takes any.
---   {kind = 'set', service, balancer, timeouts, retry, health, breaker, breaker_forced, concurrency, auth, limits, upstream,
---    peers, restless}, with every default filled in
---   {kind = 'tombstone', service}
---   {kind = 'keys', service = '@keys:<xx>', consumers, keys}, as core/keys_document.lua reads them
---   {kind = 'routes', service = '@routes', routes}
local address = require 'ebbgate.core.address'
local auth = require 'ebbgate.core.auth'
local fill_set = require 'ebbgate.core.fill_set'
local keys_document = require 'ebbgate.core.keys_document'
local limit_key = require 'ebbgate.core.limit.key'
local limit = require 'ebbgate.core.limit.limit'
local network = require 'ebbgate.core.network'
local route_rules = require 'ebbgate.core.route_rules'
local rules = require 'ebbgate.core.rules'

local match = string.match
local flag, is_array, list, number, object, one_of, text, whole = rules.flag, rules.is_array, rules.list, rules.number,
  rules.object, rules.one_of, rules.text, rules.whole

local wire = {}

wire.ROUTES = '@routes'
--- Of all documents of keys together.
wire.KEYS = '@keys'
--- The versions of the contract that sets may have here. Tombstones and routes are of version 1 for ever.
wire.CONTRACTS = { 1, 2 }
wire.MAX_BYTES = 4 * 1024 * 1024
wire.MAX_PEERS = 10000
wire.CODES = {
  hash_mismatch = true, bad_json = true, unknown_version = true, bad_document = true, too_large = true,
  unknown_profile = true,
}

local DAY_MS = 86400000

--- Whether `name` may be a service's: it becomes part of keys, file names and labels.
function wire.is_service(name)
  return type(name) == 'string' and #name <= 128 and match(name, '^[a-z0-9][a-z0-9._-]*$') ~= nil
    and match(name, '[a-z0-9]$') ~= nil
end

--- Whether `name` is that of a document of keys: then the first byte of their hashes, in hexadecimal.
function wire.keys_of(name)
  return type(name) == 'string' and match(name, '^@keys:([0-9a-f][0-9a-f])$') or nil
end

--- Whether `name` may be that of a document.
function wire.is_name(name)
  return name == wire.ROUTES or wire.is_service(name) or wire.keys_of(name) ~= nil
end

local function is_instance(id)
  return type(id) == 'string' and #id <= 127 and match(id, '^[A-Za-z0-9._:%[%]-]+$') ~= nil
end

local function is_version(version)
  return type(version) == 'string' and #version <= 64 and match(version, '^[A-Za-z0-9._+-]*$') ~= nil
end

local function is_zone(zone)
  return type(zone) == 'string' and #zone <= 63 and match(zone, '^[A-Za-z0-9._-]*$') ~= nil
end

local function is_flag(value) return value == nil or type(value) == 'boolean' end

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
  if peer.zone ~= nil and not is_zone(peer.zone) then return nil, at .. '.zone' end
  if not is_flag(peer.backup) then return nil, at .. '.backup' end
  if not is_flag(peer.keep_sticky) then return nil, at .. '.keep_sticky' end
  seen[peer.id] = true
  return {
    id = peer.id, host = peer.host, port = peer.port, version = peer.version,
    weight = peer.weight, down = peer.down, state = peer.state,
    zone = peer.zone or '', backup = peer.backup or false, keep_sticky = peer.keep_sticky or false,
  }
end

local function read_peers(given)
  if not is_array(given) then return nil, 'bad_document', 'peers is not an array' end
  if #given > wire.MAX_PEERS then return nil, 'too_large', 'more than ' .. wire.MAX_PEERS .. ' peers' end
  local peers, seen, restless = {}, {}, false
  for i = 1, #given do
    local peer, wrong = read_peer(given[i], i, seen)
    if not peer then return nil, 'bad_document', wrong end
    peers[i] = peer
    restless = restless or not (peer.state == 'up' or peer.state == 'suspect')
  end
  return peers, restless
end

--- Empty if absent.
local function rate(given)
  if given == nil then return '', false end
  return given, type(given) ~= 'string' or not limit.rate(given)
end

--- A service's name, empty if absent.
local function other_service(given)
  if given == nil then return '', false end
  return given, given ~= '' and not wire.is_service(given)
end

--- The name of a header, empty if absent.
local function header_name(given)
  if given == nil then return '', false end
  return given, type(given) ~= 'string' or #given > 64 or not match(given, '^[A-Za-z0-9-]+$')
end

local function key_part(given) return given, not limit_key.is_part(given) end

local function one_network(given) return given, type(given) ~= 'string' or network.parse(given) == nil end

local function one_consumer(given) return given, not keys_document.is_consumer(given) end

local TOKEN = '^[A-Za-z0-9!#$%%&\'*+.^_`|~-]+$'

local function hash_on(given)
  local read, wrong = object({
    source = one_of({ header = true, cookie = true, query = true, path = true }), name = text(TOKEN, 128, ''),
  }, true)(given)
  if not wrong and read and (read.name == '') ~= (read.source == 'path') then return nil, 'name' end
  return read, wrong
end

local ALGORITHMS = {
  weighted_round_robin = true, random = true, least_connections = true, ewma = true, ip_hash = true, consistent_hash = true,
}

--- The sections of a set beside its peers, with the limits and defaults of docs/contract/spec.json, which a spec
--- compares.
local SECTIONS = {
  balancer = object {
    algorithm = one_of(ALGORITHMS), hash_on = hash_on, max_load_percent = number(0, 10000, 125), prefer_zone = flag(false),
    sticky = object({ cookie = text(TOKEN, 64), max_age_s = number(0, 31536000, 0) }, true),
  },
  timeouts = object {
    connect_ms = number(1, DAY_MS), send_ms = number(1, DAY_MS), read_ms = number(1, DAY_MS),
    try_ms = number(0, DAY_MS, 0), total_ms = number(0, DAY_MS, 0),
  },
  retry = object {
    tries = number(1, 5), on = one_of({ error = true, gateway_error = true, server_error = true }, 'error'),
    non_idempotent = flag(false), budget_percent = number(0, 100, 20), budget_min_per_s = number(0, 1000000, 3),
  },
  health = object {
    max_fails = number(0, 1000), fail_timeout_ms = number(1, DAY_MS), fail_statuses = list(number(400, 599), 200, {}),
    consecutive_fails = number(0, 1000, 0), failure_percent = number(0, 100, 0), slow_percent = number(0, 100, 0),
    slow_ms = number(0, DAY_MS, 0), min_requests = number(1, 100000, 20), window_ms = number(1000, 60000, 10000),
    max_ejection_ms = number(0, DAY_MS, 0),
    max_ejected_percent = number(0, 100, 50), slow_start_ms = number(0, DAY_MS, 0),
    check = object({
      type = one_of { http = true, tcp = true }, path = text('^/[\33-\126]*$', 1024, '/'),
      host = text('^[A-Za-z0-9._:%[%]-]*$', 255, ''), port = number(0, 65535, 0), interval_ms = number(100, DAY_MS, 5000),
      timeout_ms = number(10, DAY_MS, 2000), rise = number(1, 100, 2), fall = number(1, 100, 3),
      statuses = list(rules.range, 20, { { 200, 399 } }), body = rules.body,
    }, true),
  },
  breaker = object({
    failure_percent = number(0, 100, 0), min_requests = number(1, 100000, 20), window_ms = number(1000, 60000, 10000),
    fail_statuses = list(number(400, 599), 200, { 500, 502, 503, 504 }), fallback = other_service,
    answer = object({
      status = number(200, 599), content_type = text('^[\32-\126]*$', 128, 'text/plain'),
      body = text('^[\t\n\r\32-\126]*$', 4096, ''),
    }, true),
  }, true),
  concurrency = object({
    max_per_instance = number(0, 1000000, 0), max_per_service = number(0, 1000000, 0), max_pending = number(0, 100000, 0),
    pending_ms = number(1, 60000, 1000), priority = one_of({ critical = true, default = true, sheddable = true }, 'default'),
    priority_header = header_name,
  }, true),
  breaker_forced = one_of({ open = true, closed = true }, false),
  auth = auth.rule,
  limits = rules.objects({
    name = text('^[a-z0-9][a-z0-9._-]*$', 64), algorithm = one_of(limit.ALGORITHMS, 'token_bucket'),
    scope = one_of(limit.SCOPES, 'gateway'),
    key = list(key_part, 8, {}), rate = rate, burst = number(0, 1000000000, 0),
    queue = number(0, 100000, 0), cost = number(1, 1000000, 1), status = number(400, 599, 429),
    mode = one_of({ enforce = true, log = true }, 'enforce'), exempt = list(one_network, 64, {}),
    exempt_consumers = list(one_consumer, 64, {}), routes = list(route_rules.name, 32, {}),
  }, 16, limit.contradiction),
  upstream = object({
    scheme = one_of { http = true, https = true, grpc = true, grpcs = true },
    tls = text('^[a-z0-9_]*$', 32, ''),
  }, true),
}

--- `tls` filled in: a scheme with TLS and no profile takes the one called `default`. Plain text under the name of a profile
--- would be believed to be TLS.
local function settle_upstream(upstream, profiles)
  local secure = upstream.scheme == 'https' or upstream.scheme == 'grpcs'
  if not secure then return upstream.tls ~= '' and 'bad_document', 'upstream.tls, with a scheme without TLS' end
  if upstream.tls == '' then upstream.tls = 'default' end
  return profiles and not profiles[upstream.tls] and 'unknown_profile', 'upstream.tls: ' .. upstream.tls
end

local function read_set(document, profiles)
  local set = { kind = 'set', service = document.service }
  for name, rule in pairs(SECTIONS) do
    local section, wrong = rule(document[name])
    if wrong then return nil, 'bad_document', wrong == true and name or name .. '.' .. wrong end
    set[name] = section
  end
  set.upstream = set.upstream or { scheme = 'http', tls = '' }
  local code, detail = settle_upstream(set.upstream, profiles)
  if code then return nil, code, detail end
  local balancer = set.balancer
  if balancer.algorithm == 'consistent_hash' and not balancer.hash_on then
    return nil, 'bad_document', 'balancer.hash_on'
  end
  local peers, restless, wrong = read_peers(document.peers)
  if not peers then return nil, restless, wrong end
  set.peers, set.restless = peers, restless
  return set
end

local function read_routes(document)
  local routes, wrong = route_rules.read(document.routes, wire.is_service)
  if not routes then return nil, 'bad_document', wrong end
  return { kind = 'routes', service = wire.ROUTES, routes = routes }
end

local function read_keys(document, beginning)
  local read, wrong = keys_document.read(document, beginning)
  if not read then return nil, 'bad_document', wrong end
  return { kind = 'keys', service = document.service, consumers = read.consumers, keys = read.keys }
end

function wire.decode(name, payload, tools, hash)
  if type(payload) ~= 'string' then return nil, 'bad_document', 'there is no payload' end
  if #payload > wire.MAX_BYTES then return nil, 'too_large', #payload .. ' bytes' end
  if hash and tools.sha1(payload) ~= hash then return nil, 'hash_mismatch', 'the payload does not have its hash' end
  local parsed, document = pcall(tools.json, payload)
  if not parsed or type(document) ~= 'table' then return nil, 'bad_json', 'the payload is not a JSON object' end
  if document.v == 2 and wire.is_service(name) and document.removed == nil then
    fill_set(document)
  elseif document.v ~= 1 and not (document.v == 2 and name == wire.ROUTES) then
    return nil, 'unknown_version', 'v is ' .. tostring(document.v)
  end
  if document.service ~= name then return nil, 'bad_document', 'service is not ' .. name end
  if name == wire.ROUTES then return read_routes(document) end
  if not wire.is_name(name) then return nil, 'bad_document', 'service' end
  if document.removed == true then return { kind = 'tombstone', service = name } end
  local beginning = wire.keys_of(name)
  if beginning then return read_keys(document, beginning) end
  return read_set(document, tools.profiles)
end

return wire
