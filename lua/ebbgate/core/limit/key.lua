--- What requests a limit counts together: those whose parts of a key are equal. A part is a variable of the request; an address
--- is cut to its network. A request that lacks one shares a limit with all that lack it.
local network = require 'ebbgate.core.network'
local siphash = require 'ebbgate.core.limit.siphash'

local find, gsub, lower, match = string.find, string.gsub, string.lower, string.match

local key = {}

--- What one address of a client usually is: all of IPv4, and of IPv6 the network that a site gets.
local IPV4, IPV6 = 32, 64

--- {variable, v4, v6}: `v4` and `v6` are the lengths of an address' prefix. Nil for a part that is none.
local function read(part)
  local v4, v6 = match(part, '^client_ip/(%d+)/(%d+)$')
  if v4 or part == 'client_ip' then
    v4, v6 = tonumber(v4 or IPV4), tonumber(v6 or IPV6)
    if v4 < 1 or v4 > 32 or v6 < 1 or v6 > 128 then return nil end
    return { variable = 'binary_remote_addr', v4 = v4, v6 = v6 }
  end
  if part == 'consumer' then return { variable = 'ebb_consumer' } end
  if part == 'api_key' then return { variable = 'ebb_key_id' } end
  if part == 'route' then return { variable = 'ebb_route' } end
  local kind, name = match(part, '^(%l+):([%w!#$%%&\'*+.^_`|~-]+)$')
  if kind == 'header' then return { variable = 'http_' .. gsub(lower(name), '-', '_') } end
  if kind == 'cookie' then return { variable = 'cookie_' .. name } end
  return nil
end

--- Whether a text is a part of a key: client_ip, client_ip/24/56, consumer, api_key, route, header:NAME, cookie:NAME.
function key.is_part(part)
  return type(part) == 'string' and not find(part, '[^\33-\126]') and read(part) ~= nil
end

--- The parts of a key, for `hash`.
function key.new(parts)
  local list = {}
  for i = 1, #parts do list[i] = read(parts[i]) end
  return list
end

--- The value of a part in a request.
local function value_of(part, var)
  local value = var[part.variable] or ''
  if not part.v4 then return value end
  value = network.plain(value)
  return network.cut(value, #value == 4 and part.v4 or part.v6)
end

--- What no other key has, as a text: the same on every gateway, for the limit that `name` names.
function key.text(list, var, name)
  for i = 1, #list do
    local value = value_of(list[i], var)
    name = name .. '|' .. #value .. ':' .. value
  end
  return name
end

--- The hash of a request's key, as two signed numbers, never both 0. `var`: its variables. `high`, `low`: the limit's own.
function key.hash(list, var, high, low)
  for i = 1, #list do
    high, low = siphash(value_of(list[i], var), high, low)
  end
  if high == 0 and low == 0 then return 0, 1 end
  return high, low
end

return key
