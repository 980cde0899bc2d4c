--- Writes what a gateway says of itself (docs/contract/wire.md, "The heartbeat" and "The counters").
local json_text = require 'ebbgate.core.json_text'
local position = require 'ebbgate.core.position'

local heartbeat = {}

local text = position.text

--- The heartbeat's JSON, keys in the contract's order.
---   beat {id, boot, host, seq, workers, started, applied = {epoch, generation} | nil,
---         rejected = name → {generation, code}, in_flight = 'service|instance' → n, uncounted}
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
    .. ',"contracts":[1],"applied":' .. applied .. ',"rejected":[' .. rejected .. '],"in_flight":{' .. in_flight
    .. '},"uncounted":' .. text(beat.uncounted) .. '}'
end

--- The cumulative counters' JSON. `services`: name → version → {requests, errors, ms}.
function heartbeat.encode_stats(id, boot, services, quote)
  local body = json_text.members(services, function(service, versions)
    return quote(service) .. ':{"versions":{' .. json_text.members(versions, function(version, counted)
      return quote(version) .. ':{"requests":' .. text(counted.requests) .. ',"errors":' .. text(counted.errors)
        .. ',"latency_ms_sum":' .. text(counted.ms) .. '}'
    end) .. '}}'
  end)
  return '{"v":1,"id":' .. quote(id) .. ',"boot":' .. quote(boot) .. ',"services":{' .. body .. '}}'
end

return heartbeat
