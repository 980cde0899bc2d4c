--- Reads what counters.lua adds up: for the stats, for Prometheus, and to forget the series of what is gone.
local histogram = require 'ebbgate.core.histogram'
local keys = require 'ebbgate.core.keys'
local metrics = require 'ebbgate.core.metrics'
local pace = require 'ebbgate.worker.pace'

local request_counts = {}
request_counts.__index = request_counts

local value_of = metrics.value_of

--- A version's series stay this long after its last instance has gone, so that a roll-back finds them again.
local VERSION_GRACE = 3600
--- Counters between two looks at the clock.
local STEP = 50

--- `membership(service)` gives {ids = set, versions = set} of the set in force, or nil if there is none.
function request_counts.new(dict, membership)
  return setmetatable(
    { dict = dict, membership = membership, made = nil, entries = {}, by_key = {}, absent = {} }, request_counts
  )
end

--- Every counter as {key, metric, values (of its labels)}; listed again only when one was made, because listing locks the
--- dictionary. A key that is no counter of this release has no metric.
local function entries_of(self)
  local made = self.dict:get(keys.metrics.made)
  if made and made == self.made then return self.entries end
  local known, entries, by_key, turn = self.by_key, {}, {}, pace.new()
  for i, key in ipairs(self.dict:get_keys(0)) do
    if i % STEP == 0 then turn:rest() end
    if key ~= keys.metrics.made then
      local entry = known[key]
      if not entry then
        local metric, values = metrics.parse(key)
        entry = { key = key, metric = metric, values = values }
      end
      entries[#entries + 1], by_key[key] = entry, entry
    end
  end
  self.entries, self.by_key, self.made = entries, by_key, made
  return entries
end

--- Calls `take(metric, values, count)` for every counter. Yields.
function request_counts:each(take)
  local turn = pace.new()
  for i, entry in ipairs(entries_of(self)) do
    if i % STEP == 0 then turn:rest() end
    local count = entry.metric and self.dict:get(entry.key)
    if count then take(entry.metric, entry.values, count) end
  end
end

local FIELDS = { version_requests = 'requests', version_errors = 'errors', version_ms = 'ms' }

local function counted_of(services, service, version)
  local versions = services[service] or {}
  services[service] = versions
  local counted = versions[version]
  if counted then return counted end
  counted = { requests = 0, errors = 0, ms = 0, buckets = {} }
  for i = 1, histogram.SIZE do counted.buckets[i] = 0 end
  versions[version] = counted
  return counted
end

--- service → version → {requests, errors, ms, buckets = {n per bucket}}; requests that met no service are not in it. And
--- service → limit → result → count.
function request_counts:versions()
  local services, limits = {}, {}
  self:each(function(metric, values, count)
    if metric == metrics.limited then
      local service, limit, result = values[1], values[2], values[3]
      limits[service] = limits[service] or {}
      limits[service][limit] = limits[service][limit] or {}
      limits[service][limit][result] = count
      return
    end
    local field = FIELDS[metric.id]
    if not field and metric ~= metrics.bucket or values[1] == '' then return end
    local counted = counted_of(services, values[1], values[2])
    if field then counted[field] = count else counted.buckets[tonumber(values[3])] = count end
  end)
  return services, limits
end

--- True if the counter belongs to something that no set names.
local function is_stale(self, entry, membership, now)
  local metric, values = entry.metric, entry.values
  if not metric then return false end
  local service = value_of(metric, values, 'service')
  if not service or service == '' then return false end
  local members = membership(service)
  if not members then return true end
  local instance, version = value_of(metric, values, 'instance'), value_of(metric, values, 'version')
  if instance and instance ~= '' and not members.ids[instance] then return true end
  if not version or version == '' then return false end
  local name = service .. '|' .. version
  if members.versions[version] then
    self.absent[name] = nil
    return false
  end
  self.absent[name] = self.absent[name] or now
  return now - self.absent[name] >= VERSION_GRACE
end

--- Forgets the series of instances and services that no set names any more.
function request_counts:sweep(now)
  local known = {}
  local function membership(service)
    if known[service] == nil then known[service] = self.membership(service) or false end
    return known[service]
  end
  local swept, turn = false, pace.new()
  for i, entry in ipairs(entries_of(self)) do
    if i % STEP == 0 then turn:rest() end
    if is_stale(self, entry, membership, now) then
      self.dict:delete(entry.key)
      swept = true
    end
  end
  if swept then self.made = nil end
  -- Of what nothing is counted any more.
  for name, since in pairs(self.absent) do
    if now - since > VERSION_GRACE then self.absent[name] = nil end
  end
end

return request_counts
