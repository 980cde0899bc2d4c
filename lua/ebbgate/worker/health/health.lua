--- What all workers of this gateway know together of their instances' health: core/health.lua's records in ebb_health.
---
--- A request that goes well writes nothing and asks nothing, unless its service wants results counted. What fails or is slow is
--- counted in health/passive.lua; who counts the one too many writes the ejection, and every worker sees by one number
--- (keys.health.version) that something moved (health/watch.lua).
local core = require 'ebbgate.core.health'
local keys = require 'ebbgate.core.keys'
local selection = require 'ebbgate.core.selection'
local clock = require 'ebbgate.worker.clock'
local pace = require 'ebbgate.worker.pace'
local shm = require 'ebbgate.worker.shm'
local half_open = require 'ebbgate.worker.health.half_open'
local passive = require 'ebbgate.worker.health.passive'

local health = {}
health.__index = health

local ngx = ngx

--- parts {dict, counters, incarnation, zone, max_tries, is_safe() (worker/health/half_open.lua), mutex (of all workers:
--- worker/limit/memory.lua), rebuild(entry)}
function health.new(parts)
  parts.full = false
  local self = setmetatable(parts, health)
  self.half_open = half_open.new(self)
  return self
end

function health:complain(err)
  if self.full then return end
  self.full = true
  ngx.log(ngx.ERR, 'ebbgate: ebb_health takes nothing (', err, '): the health of some instances is not known')
end

--- Writes or, with `value` nil, forgets. True if the dictionary took it.
function health:put(key, value)
  if value == nil then
    self.dict:delete(key)
    return true
  end
  local stored, err = self.dict:safe_set(key, value)
  if not stored then self:complain(err) end
  return stored == true
end

--- Shows every worker that the health of `service` changed. After the records were written.
function health:touch(service)
  local counted, err = shm.count(self.dict, keys.health.changed(service), 1)
  if not counted then self:complain(err) end
  shm.count(self.dict, keys.health.version, 1)
end

--- What is known of the peer `p`, or nil if nothing is.
local function look(self, service, p, settings, now)
  local dict, name = self.dict, keys.health.name(service, p)
  local ejection = core.unpack_passive(dict:get(keys.health.passive(name)))
  local active = settings.check and core.unpack_active(dict:get(keys.health.active(name)))
  local warm_since = settings.slow_start_ms > 0 and dict:get(keys.health.warm(name)) or nil
  if not ejection and not active and not warm_since then return nil end
  return core.condition({ state = p.state, passive = ejection, active = active, warm_since = warm_since }, settings, now)
end

--- What upstream.build wants to know of a set's health; `entry` remembers how new that is.
function health:view(entry, document)
  -- First the number, then what it counts: what is written meanwhile is seen as a change.
  entry.noted = self.dict:get(entry.health_key)
  local health_view = { zone = self.zone, conditions = {} }
  if not entry.noted or not document.health then return health_view end
  local now = clock.now()
  for _, p in ipairs(document.peers) do
    if selection.eligible(p) then health_view.conditions[p.id] = look(self, document.service, p, document.health, now) end
  end
  return health_view
end

--- Begins the slow start of an instance, if the set has one.
function health:warm(name, settings, now)
  local slow_start = settings.slow_start_ms / 1000
  if slow_start > 0 then self:put(keys.health.warm(name), now) end
end

--- Writes `record` in place of the one that is packed as `before` (nil = none), unless another worker was first. True if it is
--- in force.
function health:move(name, before, record)
  local key = keys.health.passive(name)
  self.mutex:lock()
  local is_same = self.dict:get(key) == before
  local stored, err = is_same, nil
  if is_same then stored, err = self.dict:safe_set(key, core.pack_passive(record)) end
  self.mutex:unlock()
  if err then self:complain(err) end
  return stored == true
end

--- What a try came to that failed, was slow, or was a half-open request (`taken` is its lease). Throws nothing: it runs where a
--- request is being balanced.
function health:outcome(entry, member, status, taken, slow)
  local ok, err = pcall(passive.settle, self, entry, member, status, taken, slow)
  if not ok then ngx.log(ngx.ERR, 'ebbgate: health: ', err) end
end

--- The same of any try at a member whose results are counted. `took`: microseconds until its answer began, or until there was
--- none; false if nobody asked.
function health:result(entry, member, status, took, taken)
  local ok, err = pcall(passive.count, self, entry, member, status, took, taken)
  if not ok then ngx.log(ngx.ERR, 'ebbgate: health: ', err) end
end

--- In the worker that syncs, before `document` replaces `previous`: who may be used from now on begins slowly.
function health:newcomers(document, previous)
  local settings = document.health
  if not settings or settings.slow_start_ms == 0 or previous.kind ~= 'set' then return end
  local list, now = core.newcomers(document, previous, selection.eligible), clock.now()
  for _, p in ipairs(list) do self:warm(keys.health.name(document.service, p), settings, now) end
  if #list > 0 then self:touch(document.service) end
end

--- What a check of the instance `name` came to. Called by the worker that probes.
function health:checked(service, name, id, passed, reason, settings)
  local key, now = keys.health.active(name), clock.now()
  local before = core.unpack_active(self.dict:get(key))
  local record, differs, matters = core.checked(before, passed, now, settings.check, reason)
  if not differs or not self:put(key, core.pack_active(record)) or not matters then return end
  if record.verdict == 'failing' then
    ngx.log(ngx.WARN, 'ebbgate: ', service, ': ', id, ' is failing: ', record.reason)
  elseif before and before.verdict == 'failing' then
    ngx.log(ngx.NOTICE, 'ebbgate: ', service, ': ', id, ' passes its checks again')
    self:warm(name, settings, now)
  end
  self:touch(service)
end

--- Forgets what belongs to instances that no set names; `known(service)` gives their names as a set, or nil. `stamp` is new
--- whenever the sets are: until then there is nothing to forget. Yields.
function health:sweep(known, stamp)
  -- Counts of failures expire, and are freed neither by `safe_set` nor by listing while an older key is behind them.
  self.dict:flush_expired(2000)
  if stamp == self.swept then return end
  self.swept = stamp
  local names, turn = {}, pace.new()
  for i, key in ipairs(self.dict:get_keys(0)) do
    if i % 50 == 0 then turn:rest() end
    local service, name = keys.health.parse(key)
    if service and names[service] == nil then names[service] = known(service) or false end
    if service and (not names[service] or name and not names[service][name]) then self.dict:delete(key) end
  end
end

return health
