--- Reports instances that are not plainly healthy, and services that are left alone: for the heartbeat, and for the admin
--- listener.
local keys = require 'ebbgate.core.keys'
local metrics = require 'ebbgate.core.metrics'
local clock = require 'ebbgate.worker.clock'
local live = require 'ebbgate.worker.live'
local pace = require 'ebbgate.worker.pace'
local service_breaker = require 'ebbgate.worker.service_breaker'

local health_report = {}
health_report.__index = health_report

--- A heartbeat is read every second by every controller.
local MOST = 100

--- parts {dict, store}
function health_report.new(parts)
  parts.noted, parts.version = {}, nil
  return setmetatable(parts, health_report)
end

--- The services of which there is or was anything to report; looked for only after something changed.
local function noted(self)
  local version = self.dict:get(keys.health.version)
  if version == self.version then return self.noted end
  local list = {}
  for _, name in ipairs(self.store:names()) do
    if self.dict:get(keys.health.changed(name)) then list[#list + 1] = name end
  end
  table.sort(list)
  self.noted, self.version = list, version
  return list
end

--- Calls `visit(service, upstream)` for each of them. Yields: after a new epoch all of their upstreams are built here.
local function each(self, visit)
  local turn = pace.new()
  for _, name in ipairs(noted(self)) do
    turn:rest()
    local upstream = live.upstream(live.entry(name))
    if upstream and not upstream.removed then visit(name, upstream) end
  end
end

--- {state, reason, since} of a service's breaker, or nil while it is closed.
local function breaker_of(self, service, upstream)
  if not upstream.policies then return nil end
  local since, reason = service_breaker.read(self.dict, service)
  if not since then return nil end
  return { state = 'open', reason = reason, since = math.floor(clock.wall_of(math.min(since, clock.now()))) }
end

--- {health = 'service|instance' → {state, reason, since}, unlisted, panic = list of services, breakers = service → {state,
--- reason, since}}
function health_report:summary()
  local health, listed, unlisted, panic, breakers, opened = {}, 0, 0, {}, {}, 0
  each(self, function(service, upstream)
    local open = opened < MOST and breaker_of(self, service, upstream)
    if open then breakers[service], opened = open, opened + 1 end
    if upstream.panic then panic[#panic + 1] = service end
    for _, member in ipairs(upstream.unwell) do
      if listed < MOST then
        local condition = member.condition
        local since = math.min(condition.since, clock.now())
        health[service .. '|' .. member.id] = {
          state = condition.state, reason = condition.reason, since = math.floor(clock.wall_of(since)),
        }
        listed = listed + 1
      else
        unlisted = unlisted + 1
      end
    end
  end)
  return { health = health, unlisted = unlisted, panic = panic, breakers = breakers }
end

--- The metrics of health: `add(metric, value, values of its labels …)`.
function health_report:add_metrics(add)
  local panicking = {}
  each(self, function(service, upstream)
    panicking[service] = upstream.panic
    if breaker_of(self, service, upstream) then add(metrics.breaker_open, 1, service) end
    for _, member in ipairs(upstream.unwell) do add(metrics.health, 1, service, member.id, member.condition.state) end
  end)
  for name, record in pairs(self.store:records()) do
    if string.sub(name, 1, 1) ~= '@' and not record.removed then add(metrics.panic, panicking[name] and 1 or 0, name) end
  end
end

return health_report
