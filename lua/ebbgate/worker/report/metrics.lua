--- What Prometheus reads of this gateway: every metric of core/metrics.lua with its samples.
local histogram = require 'ebbgate.core.histogram'
local keys = require 'ebbgate.core.keys'
local names = require 'ebbgate.core.metrics'
local position = require 'ebbgate.core.position'
local wire = require 'ebbgate.core.wire'
local problems = require 'ebbgate.worker.report.problems'

local metrics = {}
metrics.__index = metrics

--- parts {dicts, store, in_flight_counts, request_counts, json, health, problems, limits (worker/limit/memory.lua),
---        certificates (worker/tls/certificates.lua; nil = none)}
function metrics.new(parts)
  return setmetatable(parts, metrics)
end

--- The counters, as they are kept.
local function add_counters(self, add)
  self.request_counts:each(function(metric, values, count)
    if metric.name then add(metric, count, unpack(values)) end
  end)
end

local function add_durations(self, samples)
  for service, versions in pairs(self.request_counts:versions()) do
    for version, counted in pairs(versions) do
      local values, sum = { service, version }, 0
      for index = 1, histogram.SIZE do
        sum = sum + counted.buckets[index]
        if histogram.is_shown(index) then
          samples[#samples + 1] = { suffix = '_bucket', value = sum, values = values, le = histogram.le(index) }
        end
      end
      samples[#samples + 1] = { suffix = '_sum', value = counted.ms / 1000, values = values }
      samples[#samples + 1] = { suffix = '_count', value = sum, values = values }
    end
  end
end

local function add_open(self, add)
  local counted = self.in_flight_counts:take()
  for name, count in pairs(counted.in_flight) do
    add(names.in_flight, count, string.match(name, '^([^|]*)|(.*)$'))
  end
  add(names.uncounted, counted.uncounted)
  add(names.workers, counted.workers)
end

local function add_sets(self, add, now)
  local state = self.dicts.state
  for name, record in pairs(self.store:records()) do
    -- Tombstones are kept for ever; what they are of is gone.
    -- Of keys there are up to 256, which say no more than the position that is acked.
    if not record.removed and not wire.keys_of(name) then add(names.set_generation, record.generation, name) end
  end
  local epoch, generation = position.unpack(state:get(keys.state.applied))
  local caught_up_at = state:get(keys.state.caught_up_at)
  if epoch then
    add(names.applied_epoch, epoch)
    add(names.applied_generation, generation)
  end
  if caught_up_at then add(names.applied_age, now - caught_up_at) end
  local source = state:get(keys.state.source)
  if source then add(names.from_replica, source == 'replica' and 1 or 0) end
  local rejected = 0
  for _ in pairs(self.json.decode(state:get(keys.state.rejected) or '{}')) do rejected = rejected + 1 end
  add(names.rejected_sets, rejected)
end

local function add_own(self, add)
  for _, kind in ipairs(problems.KINDS) do add(names.problem, self.problems:has(kind) and 1 or 0, kind) end
  for name, dict in pairs(self.dicts) do add(names.free_bytes, dict:free_space(), 'ebb_' .. name) end
end

--- For exposition.render. `now` of worker/clock.lua. Yields.
function metrics:families(now)
  local families, samples_of = {}, {}
  for i, metric in ipairs(names.all()) do
    samples_of[metric] = {}
    families[i] = { metric = metric, samples = samples_of[metric] }
  end
  local function add(metric, value, ...)
    local samples = samples_of[metric]
    samples[#samples + 1] = { value = value, values = { ... } }
  end
  add_counters(self, add)
  add_durations(self, samples_of[names.duration])
  self.health:add_metrics(add)
  add_open(self, add)
  add_sets(self, add, now)
  add(names.limit_gateways, self.limits.header.gateways)
  add(names.limit_store_away, self.limits:is_away(now) and 1 or 0)
  if self.certificates then
    self.certificates:ends(function(name, ends) add(names.certificate_end, ends, name) end)
  end
  add_own(self, add)
  return families
end

return metrics
