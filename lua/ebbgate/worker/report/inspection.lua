--- What the admin listener says of this gateway: whether it is ready, and its sets. Its metrics: report/metrics.lua.
local heartbeat = require 'ebbgate.core.heartbeat'
local json_text = require 'ebbgate.core.json_text'
local keys = require 'ebbgate.core.keys'
local position = require 'ebbgate.core.position'
local wire = require 'ebbgate.core.wire'
local clock = require 'ebbgate.worker.clock'

local inspection = {}
inspection.__index = inspection

--- parts {dicts, store, in_flight_counts, json, identity {id, version}, problems}
function inspection.new(parts)
  return setmetatable(parts, inspection)
end

local function applied(self)
  return position.unpack(self.dicts.state:get(keys.state.applied))
end

local function rejected(self)
  return self.json.decode(self.dicts.state:get(keys.state.rejected) or '{}')
end

local function size(map)
  local count = 0
  for _ in pairs(map) do count = count + 1 end
  return count
end

local function applied_text(self)
  local epoch, generation = applied(self)
  if not epoch then return 'null' end
  return '{"epoch":' .. position.text(epoch) .. ',"generation":' .. position.text(generation) .. '}'
end

--- True if there are routes, or it is known that there are none: of an epoch that is not sealed they may still come.
local function routes_are_known(self)
  if self.dicts.sets:get(keys.sets.stamp(wire.ROUTES)) ~= nil then return true end
  local epoch = applied(self)
  return epoch ~= nil and self.dicts.state:get(keys.state.sealed_epoch) == epoch
end

--- Whether the gateway can route requests, and a JSON body that says why or why not. `now` of worker/clock.lua.
function inspection:readiness(now)
  local state = self.dicts.state
  local ready = routes_are_known(self) and state:get(keys.state.serving) == true
  local caught_up_at, changed_at = state:get(keys.state.caught_up_at), state:get(keys.state.redis_since)
  local since = changed_at and clock.wall_of(changed_at) or state:get(keys.state.started)
  local source = state:get(keys.state.source)
  local left = state:get(keys.state.left) and '"left":true,' or ''
  return ready, '{"ready":' .. tostring(ready) .. ',' .. left .. '"id":' .. self.json.encode(self.identity.id)
    .. ',"version":' .. self.json.encode(self.identity.version)
    .. ',"redis":{"state":"' .. (state:get(keys.state.redis) or 'connecting') .. '","since":'
    .. position.text(since) .. '},' .. (source and '"sets_from":"' .. source .. '",' or '') .. '"applied":' .. applied_text(self)
    .. ',"caught_up_seconds_ago":' .. (caught_up_at and string.format('%.3f', now - caught_up_at) or 'null')
    .. ',"sets":' .. size(self.store:records()) .. ',"rejected":' .. size(rejected(self))
    .. ',"problems":' .. heartbeat.problems_text(self.problems:list(), self.json.encode) .. '}\n'
end

--- {"applied", "rejected", "in_flight", "uncounted", "sets": [{"service", "epoch", "generation", "hash", "saved", "document"}]}
function inspection:sets()
  local quote = self.json.encode
  local sets = json_text.members(self.store:records(), function(name, record)
    return '{"service":' .. quote(name) .. ',"epoch":' .. position.text(record.epoch) .. ',"generation":'
      .. position.text(record.generation) .. ',"hash":"' .. record.hash .. '","saved":' .. tostring(record.saved)
      -- Hashes of keys are shown to nobody.
      .. ',"document":' .. (not wire.keys_of(name) and self.store:payload(name) or 'null') .. '}'
  end)
  local refused = json_text.members(rejected(self), function(name, why)
    return '{"service":' .. quote(name) .. ',"generation":' .. position.text(why.generation) .. ',"code":' .. quote(why.code)
      .. '}'
  end)
  local counted = self.in_flight_counts:take()
  local in_flight = json_text.members(counted.in_flight, function(name, count) return quote(name) .. ':' .. count end)
  return '{"applied":' .. applied_text(self) .. ',"rejected":[' .. refused .. '],"in_flight":{' .. in_flight
    .. '},"uncounted":' .. counted.uncounted .. ',"sets":[' .. sets .. ']}\n'
end

return inspection
