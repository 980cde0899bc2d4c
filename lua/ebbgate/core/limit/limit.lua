--- One limit of a service, made of its settings in the set (docs/reference/service-spec.md): what it counts together, how, and
--- what the answer of a refusal says of it.
local key = require 'ebbgate.core.limit.key'
local network = require 'ebbgate.core.network'
local siphash = require 'ebbgate.core.limit.siphash'

local ceil, match, max = math.ceil, string.match, math.max

local limit = {}

--- Algorithm → its limiter. All are `new(settings)`, and
---   take(slot, now, cost, others, away)   the seconds that a request has to wait, 0 of most; or nil and the seconds until it may
---                                         be tried again; then true if Redis has to answer first
---   give(slot, cost, others, away)        gives back what was taken
---   left(slot, now, others)               what is left, and the seconds until there is more
---   slot     a record of core/limit/slots.lua, of the key alone
---   others   of `counts_open`: what other workers have open; of `is_shared`: how many gateways share the limit
---   away     of `is_shared` alone: Redis does not answer
local limiters = {
  token_bucket = require 'ebbgate.core.limit.token_bucket',
  leaky_bucket = require 'ebbgate.core.limit.leaky_bucket',
  fixed_window = require 'ebbgate.core.limit.fixed_window',
  sliding_window = require 'ebbgate.core.limit.sliding_window',
  concurrency = require 'ebbgate.core.limit.concurrency',
}

local cluster_bucket = require 'ebbgate.core.limit.cluster_bucket'

limit.SCOPES = { gateway = true, cluster = true }
limit.ALGORITHMS = {}
for name in pairs(limiters) do limit.ALGORITHMS[name] = true end

local SECONDS = { s = 1, m = 60, h = 3600, d = 86400 }

--- Count and window, in seconds, of a rate like 100/s; nil of a text that is none.
function limit.rate(text)
  local count, unit = match(text, '^([1-9]%d*)/([smhd])$')
  count = tonumber(count)
  if not count or count > 1e9 then return nil end
  return count, SECONDS[unit]
end

--- True if a set has a limit of all gateways together.
function limit.is_shared(document)
  for _, given in ipairs(document.limits or {}) do
    if given.scope == 'cluster' then return true end
  end
  return false
end

--- Why the settings do not go together, as the name of a member; nil if they do.
function limit.contradiction(given)
  if given.scope == 'cluster' and given.algorithm ~= 'token_bucket' then return 'scope' end
  if given.algorithm == 'concurrency' then
    if given.rate ~= '' then return 'rate' end
    return (given.burst == 0 or given.cost > given.burst) and 'burst' or nil
  end
  local count = limit.rate(given.rate)
  if not count then return 'rate' end
  if given.algorithm ~= 'token_bucket' and given.burst ~= 0 then return 'burst' end
  if given.algorithm ~= 'leaky_bucket' and given.queue ~= 0 then return 'queue' end
  local most = given.algorithm == 'token_bucket' and limit.burst(given) or count
  return given.cost > most and 'cost' or nil
end

--- What a token bucket may give at once: what was decided, else as much as it gets in a second, and 1 at least.
function limit.burst(given)
  if given.burst > 0 then return given.burst end
  local count, window = limit.rate(given.rate)
  return max(1, ceil(count / window))
end

--- `"name";q=100;w=60`, of RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10). Of open requests there is no window.
local function policy_of(given, count, window)
  local quota = given.algorithm == 'concurrency' and given.burst or count
  return '"' .. given.name .. '";q=' .. quota .. (window and ';w=' .. window or '')
end

--- `given`: from wire.decode. `high`, `low`: a secret of this nginx, so that nobody can find keys that share a slot.
function limit.new(service, given, high, low)
  local count, window = limit.rate(given.rate)
  local shared, name = given.scope == 'cluster', service .. '|' .. given.name
  local limiter = (shared and cluster_bucket or limiters[given.algorithm]).new({
    count = count, window = window, queue = given.queue,
    burst = given.algorithm == 'token_bucket' and limit.burst(given) or given.burst,
  })
  local exempt, exempt_consumers = {}, false
  local routes = false
  for _, route in ipairs(given.routes or {}) do
    routes = routes or {}
    routes[route] = true
  end
  for i, text in ipairs(given.exempt) do exempt[i] = network.parse(text) end
  for _, consumer in ipairs(given.exempt_consumers or {}) do
    exempt_consumers = exempt_consumers or {}
    exempt_consumers[consumer] = true
  end
  high, low = siphash(name .. '|' .. given.algorithm .. (shared and '|cluster' or ''), high, low)
  return {
    name = given.name, full_name = name, limiter = limiter, parts = key.new(given.key), high = high, low = low, cost = given.cost,
    enforced = given.mode ~= 'log', status = given.status, exempt = #exempt > 0 and exempt or false,
    exempt_consumers = exempt_consumers,
    routes = routes,
    policy = policy_of(given, count, window),
    -- What was counted since the last flush (worker/count/counters.lua).
    counted = { service = service, limit = given.name, admitted = 0, delayed = 0, refused = 0, dirty = false },
  }
end

return limit
