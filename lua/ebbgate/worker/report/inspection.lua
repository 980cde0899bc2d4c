--- What the admin listener tells of this gateway.
local heartbeat = require 'ebbgate.core.heartbeat'
local histogram = require 'ebbgate.core.histogram'
local json_text = require 'ebbgate.core.json_text'
local keys = require 'ebbgate.core.keys'
local position = require 'ebbgate.core.position'
local wire = require 'ebbgate.core.wire'
local problems = require 'ebbgate.worker.report.problems'
local clock = require 'ebbgate.worker.clock'

local inspection = {}
inspection.__index = inspection

--- parts {dicts, store, in_flight_counts, request_counts, json, identity {id, version}, health, problems}
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

--- Whether the gateway can route requests, and a JSON body that tells why or why not. `now` of worker/clock.lua.
function inspection:readiness(now)
  local state = self.dicts.state
  local known = self.dicts.sets:get(keys.sets.stamp(wire.ROUTES)) ~= nil or applied(self) ~= nil
  local ready = known and state:get(keys.state.serving) == true
  local caught_up_at, changed_at = state:get(keys.state.caught_up_at), state:get(keys.state.redis_since)
  local since = changed_at and clock.wall_of(changed_at) or state:get(keys.state.started)
  local left = state:get(keys.state.left) and '"left":true,' or ''
  return ready, '{"ready":' .. tostring(ready) .. ',' .. left .. '"id":' .. self.json.encode(self.identity.id)
    .. ',"version":' .. self.json.encode(self.identity.version)
    .. ',"redis":{"state":"' .. (state:get(keys.state.redis) or 'connecting') .. '","since":'
    .. position.text(since) .. '},"applied":' .. applied_text(self)
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
      .. ',"document":' .. (self.store:payload(name) or 'null') .. '}'
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

--- One family of each kind of counter.
local function counter_families(self)
  local requests = {
    name = 'ebbgate_requests_total', type = 'counter', help = 'Requests that ended, by status class.', samples = {},
  }
  local broken = {
    name = 'ebbgate_broken_answers_total', type = 'counter', help = 'Answers that their instance cut short.', samples = {},
  }
  local retries = {
    name = 'ebbgate_retries_total', type = 'counter', help = 'Tries after the first one.',
    samples = {},
  }
  local exhausted = {
    name = 'ebbgate_retry_budget_exhausted_total', type = 'counter', samples = {},
    help = 'Requests that were allowed no other try because the retry budget was spent.',
  }
  local errors = {
    name = 'ebbgate_sync_errors_total', type = 'counter', help = 'What went wrong while following Redis.', samples = {},
  }
  local ejections = {
    name = 'ebbgate_ejections_total', type = 'counter', help = 'Instances taken out after failed requests.', samples = {},
  }
  local probes = { name = 'ebbgate_probes_total', type = 'counter', help = 'Checks that ended.', samples = {} }
  local headers = {
    name = 'ebbgate_request_headers_dropped_total', type = 'counter', samples = {},
    help = 'Headers of requests that were not passed on because of their name.',
  }
  self.request_counts:each(function(parts, value)
    if parts[1] == 'requests' then
      requests.samples[#requests.samples + 1] = {
        labels = { 'service', parts[2], 'version', parts[3], 'instance', parts[4], 'status', parts[5] }, value = value,
      }
    elseif parts[1] == 'broken' then
      broken.samples[#broken.samples + 1] = {
        labels = { 'service', parts[2], 'version', parts[3], 'instance', parts[4] }, value = value,
      }
    elseif parts[1] == 'retries' then
      retries.samples[#retries.samples + 1] = { labels = { 'service', parts[2] }, value = value }
    elseif parts[1] == 'budget_exhausted' then
      exhausted.samples[#exhausted.samples + 1] = { labels = { 'service', parts[2] }, value = value }
    elseif parts[1] == 'ejections' then
      ejections.samples[#ejections.samples + 1] = {
        labels = { 'service', parts[2], 'reason', parts[4] }, value = value,
      }
    elseif parts[1] == 'probes' then
      probes.samples[#probes.samples + 1] = { labels = { 'service', parts[2], 'result', parts[4] }, value = value }
    elseif parts[1] == 'headers_dropped' then
      headers.samples[#headers.samples + 1] = { labels = { 'reason', parts[3] }, value = value }
    elseif parts[1] == 'sync_error' then
      errors.samples[#errors.samples + 1] = { labels = { 'kind', parts[2] }, value = value }
    end
  end)
  return requests, broken, retries, exhausted, errors, ejections, probes, headers
end

local function latency_family(self)
  local family = {
    name = 'ebbgate_request_duration_seconds', type = 'histogram', ordered = true, samples = {},
    help = 'From the first byte of the request to the end of the response.',
  }
  local samples = family.samples
  for service, versions in pairs(self.request_counts:versions()) do
    for version, counted in pairs(versions) do
      local sum = 0
      for index = 1, histogram.SIZE do
        sum = sum + counted.buckets[index]
        if histogram.is_shown(index) then
          samples[#samples + 1] = {
            suffix = '_bucket', value = sum,
            labels = { 'service', service, 'version', version, 'le', histogram.le(index) },
          }
        end
      end
      local labels = { 'service', service, 'version', version }
      samples[#samples + 1] = { suffix = '_sum', labels = labels, value = counted.ms / 1000 }
      samples[#samples + 1] = { suffix = '_count', labels = labels, value = sum }
    end
  end
  return family
end

local function in_flight_families(self)
  local counted = self.in_flight_counts:take()
  local open = {
    name = 'ebbgate_in_flight', type = 'gauge', help = 'Open requests and WebSockets.', samples = {},
  }
  for name, count in pairs(counted.in_flight) do
    local service, instance = string.match(name, '^([^|]*)|(.*)$')
    open.samples[#open.samples + 1] = { labels = { 'service', service, 'instance', instance }, value = count }
  end
  return open, {
    name = 'ebbgate_uncounted', type = 'gauge', help = 'Open requests that no counter could be made for.',
    samples = { { value = counted.uncounted } },
  }, {
    name = 'ebbgate_workers', type = 'gauge', help = 'Living worker processes, exiting ones included.',
    samples = { { value = counted.workers } },
  }
end

local function gauge(name, help, value)
  return { name = name, type = 'gauge', help = help, samples = value and { { value = value } } or {} }
end

local function generation_family(self)
  local family = {
    name = 'ebbgate_set_generation', type = 'gauge', help = 'The generation of the set in force.', samples = {},
  }
  for name, record in pairs(self.store:records()) do
    -- Tombstones stay for ever; what they stand for is gone.
    if not record.removed then
      family.samples[#family.samples + 1] = { labels = { 'service', name }, value = record.generation }
    end
  end
  return family
end

local function memory_family(self)
  local family = {
    name = 'ebbgate_shared_dict_free_bytes', type = 'gauge', help = 'Free whole pages of a shared dictionary.', samples = {},
  }
  for name, dict in pairs(self.dicts) do
    family.samples[#family.samples + 1] = { labels = { 'dict', 'ebb_' .. name }, value = dict:free_space() }
  end
  return family
end

local function problem_family(self)
  local family = { name = 'ebbgate_problem', type = 'gauge', help = '1 while this is wrong with the gateway.', samples = {} }
  for i, kind in ipairs(problems.KINDS) do
    family.samples[i] = { labels = { 'kind', kind }, value = self.problems:has(kind) and 1 or 0 }
  end
  return family
end

--- Everything for Prometheus (core/exposition.lua).
function inspection:families(now)
  local requests, broken, retries, exhausted, errors, ejections, probes, headers = counter_families(self)
  local states, panic = self.health:families()
  local open, uncounted, workers = in_flight_families(self)
  local epoch, generation = applied(self)
  local caught_up_at = self.dicts.state:get(keys.state.caught_up_at)
  return {
    requests, broken, latency_family(self), retries, exhausted, open, uncounted, workers, generation_family(self),
    gauge('ebbgate_applied_epoch', 'The epoch of what is acked.', epoch),
    gauge('ebbgate_applied_generation', 'The generation of what is acked.', generation),
    gauge('ebbgate_applied_age_seconds', 'Since Redis last answered a catch-up.', caught_up_at and now - caught_up_at),
    gauge('ebbgate_rejected_sets', 'Sets in Redis that were kept out.', size(rejected(self))),
    ejections, states, panic, probes, errors, headers, problem_family(self), memory_family(self),
  }
end

return inspection
