--- Writes what a gateway reports of itself (docs/contract/wire.md, "The heartbeat" and "The counters").
local json_text = require 'ebbgate.core.json_text'
local position = require 'ebbgate.core.position'

local heartbeat = {}

local text = position.text

--- A JSON list of what is wrong with the gateway. `problems`: list of {kind, reason, since}.
function heartbeat.problems_text(problems, quote)
  local parts = {}
  for i, one in ipairs(problems) do
    parts[i] = '{"kind":' .. quote(one.kind) .. ',"reason":' .. quote(one.reason) .. ',"since":' .. text(one.since) .. '}'
  end
  return '[' .. table.concat(parts, ',') .. ']'
end

--- An object of {state, reason, since}.
local function states_text(map, quote)
  return '{' .. json_text.members(map, function(name, one)
    return quote(name) .. ':{"state":' .. quote(one.state) .. ',"reason":' .. quote(one.reason) .. ',"since":'
      .. text(one.since) .. '}'
  end) .. '}'
end

--- Nothing where all is well, so that the heartbeat stays small.
local function health_text(beat, quote)
  local parts = ''
  if beat.health and next(beat.health) then
    parts = ',"health":' .. states_text(beat.health, quote)
    if beat.unlisted and beat.unlisted > 0 then parts = parts .. ',"health_unlisted":' .. text(beat.unlisted) end
  end
  if beat.panic and #beat.panic > 0 then
    local names = {}
    for i, name in ipairs(beat.panic) do names[i] = quote(name) end
    parts = parts .. ',"panic":[' .. table.concat(names, ',') .. ']'
  end
  if beat.breakers and next(beat.breakers) then parts = parts .. ',"breakers":' .. states_text(beat.breakers, quote) end
  if beat.problems and #beat.problems > 0 then
    parts = parts .. ',"problems":' .. heartbeat.problems_text(beat.problems, quote)
  end
  return parts
end

--- The heartbeat's JSON, keys in the contract's order.
---   beat {id, boot, host, seq, workers, started, contracts = list, applied = {epoch, generation} | nil,
---         rejected = name → {generation, code}, in_flight = 'service|instance' → n, uncounted,
---         health = 'service|instance' → {state, reason, since}, unlisted (those for which there was no room), panic = list
---         of services, breakers = service → {state, reason, since}, problems = list of {kind, reason, since}}; the last five
---         may be nil
function heartbeat.encode(beat, quote)
  local applied = 'null'
  if beat.applied then
    applied = '{"epoch":' .. text(beat.applied.epoch) .. ',"generation":' .. text(beat.applied.generation) .. '}'
  end
  local rejected = json_text.members(beat.rejected, function(name, why)
    return '{"service":' .. quote(name) .. ',"generation":' .. text(why.generation) .. ',"code":' .. quote(why.code) .. '}'
  end)
  local in_flight = json_text.members(beat.in_flight, function(name, count)
    return quote(name) .. ':' .. text(count)
  end)
  return '{"v":1,"id":' .. quote(beat.id) .. ',"boot":' .. quote(beat.boot) .. ',"host":' .. quote(beat.host)
    .. ',"seq":' .. text(beat.seq) .. ',"workers":' .. text(beat.workers) .. ',"started":' .. text(beat.started)
    .. ',"contracts":[' .. table.concat(beat.contracts, ',') .. '],"applied":' .. applied
    .. ',"rejected":[' .. rejected .. '],"in_flight":{' .. in_flight
    .. '},"uncounted":' .. text(beat.uncounted) .. health_text(beat, quote) .. '}'
end

--- Only the buckets that are not empty: most versions answer within a few of them.
local function buckets_text(buckets)
  local parts = {}
  for index = 1, #buckets do
    if buckets[index] > 0 then parts[#parts + 1] = '[' .. index .. ',' .. text(buckets[index]) .. ']' end
  end
  return '[' .. table.concat(parts, ',') .. ']'
end

--- Nothing where there are no limits.
local function limits_text(limits, seconds, quote)
  if not limits or not next(limits) then return '' end
  local body = json_text.members(limits, function(service, named)
    return quote(service) .. ':{' .. json_text.members(named, function(name, counted)
      return quote(name) .. ':{"admitted":' .. text(counted.admitted or 0) .. ',"delayed":' .. text(counted.delayed or 0)
        .. ',"refused":' .. text(counted.refused or 0) .. '}'
    end) .. '}'
  end)
  return ',"limits":{"seconds":' .. text(math.floor(seconds)) .. ',"services":{' .. body .. '}}'
end

--- The cumulative counters' JSON. `beat`: the heartbeat that it goes with.
--- `services`: name → version → {requests, errors, ms, buckets}.
--- `limits`, if there are any: service → limit → {admitted, delayed, refused}, of the last `seconds`.
function heartbeat.encode_stats(beat, services, quote, limits, seconds)
  local body = json_text.members(services, function(service, versions)
    return quote(service) .. ':{"versions":{' .. json_text.members(versions, function(version, counted)
      return quote(version) .. ':{"requests":' .. text(counted.requests) .. ',"errors":' .. text(counted.errors)
        .. ',"latency_ms_sum":' .. text(counted.ms)
        .. ',"latency_ms_buckets":' .. buckets_text(counted.buckets) .. '}'
    end) .. '}}'
  end)
  return '{"v":1,"id":' .. quote(beat.id) .. ',"boot":' .. quote(beat.boot) .. ',"seq":' .. text(beat.seq)
    .. ',"services":{' .. body .. '}' .. limits_text(limits, seconds, quote) .. '}'
end

return heartbeat
