--- The breaker of a service: a policy (worker/policies.lua) that leaves the whole service alone while its requests fail, with all
--- their tries.
---
--- While it is closed a request costs a look at one key, and one addition when it ends. That key is there while it is open, for
--- all workers: `since|reason`. Then one request a second of the whole gateway is half-open: it goes to the service, and if it is
--- answered the breaker closes. The others are refused, or answered otherwise (phase/http/access.lua).
local core = require 'ebbgate.core.breaker'
local keys = require 'ebbgate.core.keys'
local metrics = require 'ebbgate.core.metrics'
local clock = require 'ebbgate.worker.clock'
local lease = require 'ebbgate.worker.lease'
local results = require 'ebbgate.worker.health.results'

local breaker = {}
breaker.__index = breaker

local ngx = ngx
local format, match = string.format, string.match

--- Seconds between two half-open requests.
local EVERY = 1
--- What the answer of a refusal says.
local ABOUT = { retry = EVERY }

--- parts {health (worker/health/health.lua), counters}
function breaker.new(document, entry, parts)
  local forced = document.breaker_forced or false
  local watch = core.of_service(document.breaker)
  if forced == 'closed' or not watch and not forced then return nil end
  local service, dict = document.service, parts.health.dict
  -- Of requests that are half-open, by their ids: what the breaker said when they began; and how many they are, because LuaJIT
  -- compiles no `next`.
  entry.half_open = entry.half_open or { count = 0, said = {} }
  return setmetatable({
    service = service, forced = forced, watch = watch, dict = dict, key = keys.health.breaker(service),
    lease = keys.health.breaker_lease(service), half_open = entry.half_open, health = parts.health, counters = parts.counters,
    results = watch and results.new(dict, service, watch.span),
  }, breaker)
end

--- True for one request a second of all workers.
local function takes_turn(self)
  if lease.owner(self.dict, self.lease) ~= nil then return false end
  local mutex = self.health.mutex
  mutex:lock()
  local is_free = lease.owner(self.dict, self.lease) == nil
  local taken = is_free and lease.replace(self.dict, self.lease, true, EVERY)
  mutex:unlock()
  return taken == true
end

--- As worker/policies.lua says.
function breaker:admit(request)
  if self.forced then return 'breaker_open', ABOUT end
  local said = self.dict:get(self.key)
  if not said then return nil end
  if not takes_turn(self) then return 'breaker_open', ABOUT end
  local half_open = self.half_open
  half_open.count, half_open.said[request.request_id] = half_open.count + 1, said
  return nil
end

local function open(self, reason)
  local mutex, said = self.health.mutex, format('%.3f|%s', clock.now(), reason)
  mutex:lock()
  local stored, err = self.dict:safe_add(self.key, said)
  -- The first half-open request comes after one such time.
  if stored then lease.replace(self.dict, self.lease, true, EVERY) end
  mutex:unlock()
  if not stored then
    if err ~= 'exists' then self.health:complain(err) end
    return
  end
  self.health:touch(self.service)
  self.counters:add(metrics.breaker_openings, 1, self.service)
  ngx.log(ngx.WARN, 'ebbgate: ', self.service, ': its breaker opens: ', reason)
end

--- Closes what is open as `said`, and begins to count anew.
local function close(self, said)
  local mutex = self.health.mutex
  self.results:forget(clock.now())
  mutex:lock()
  local is_same = self.dict:get(self.key) == said
  if is_same then self.dict:delete(self.key) end
  mutex:unlock()
  if not is_same then return end
  self.health:touch(self.service)
  ngx.log(ngx.NOTICE, 'ebbgate: ', self.service, ': its breaker closes')
end

--- As worker/policies.lua says.
function breaker:finish(_, request, came_to)
  if not self.watch then return end
  local failed = came_to == 'failed' or self.watch.statuses[came_to] ~= nil
  local half_open = self.half_open
  if half_open.count > 0 then
    local said = half_open.said[request.request_id]
    if said then
      half_open.count, half_open.said[request.request_id] = half_open.count - 1, nil
      if came_to and not failed then close(self, said) end
      return
    end
  end
  if not came_to then return end
  local now = clock.now()
  local counted, err = self.results:add(core.result(failed, false), now)
  if not counted then self.health:complain(err) end
  if not failed or self.dict:get(self.key) then return end
  local reason = core.reason(self.watch, self.results:sum(now))
  if reason then open(self, reason) end
end

--- What is said of the service while its breaker is open, of `dict`: since when (clock.now) and why; nil while it is closed.
function breaker.read(dict, service)
  local since, reason = match(dict:get(keys.health.breaker(service)) or '', '^([%d.]+)|(.*)$')
  return tonumber(since), reason
end

return breaker
