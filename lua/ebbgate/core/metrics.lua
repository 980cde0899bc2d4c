--- Every metric of a gateway, named once: its name, its labels, and what it says. docs/reference/metrics.md is tested against it.
---
--- A counter is kept in ebb_metrics, under its place in this table (`id`) and the values of its labels. An empty value means
--- none: requests that met no service have '' as their service.
local concat, gmatch = table.concat, string.gmatch

local metrics = {}

local function part(labels) return { labels = labels } end
local function counter(name, labels, help) return { type = 'counter', name = name, labels = labels, help = help } end
local function gauge(name, labels, help) return { type = 'gauge', name = name, labels = labels, help = help } end
local function histogram(name, labels, help) return { type = 'histogram', name = name, labels = labels, help = help } end

metrics.requests = counter('ebbgate_requests_total', { 'service', 'version', 'instance', 'status' },
  'Requests that ended, by status class.')
metrics.broken = counter('ebbgate_broken_answers_total', { 'service', 'version', 'instance' },
  'Answers that their instance cut short.')
metrics.duration = histogram('ebbgate_request_duration_seconds', { 'service', 'version' },
  'From the first byte of the request to the end of the response.')
metrics.retries = counter('ebbgate_retries_total', { 'service' }, 'Tries after the first one.')
metrics.budget_exhausted = counter('ebbgate_retry_budget_exhausted_total', { 'service' },
  'Requests that were allowed no other try because the retry budget was spent.')
metrics.in_flight = gauge('ebbgate_in_flight', { 'service', 'instance' }, 'Open requests and WebSockets.')
metrics.uncounted = gauge('ebbgate_uncounted', {}, 'Open requests that no counter could be made for.')
metrics.workers = gauge('ebbgate_workers', {}, 'Living worker processes, exiting ones included.')
metrics.set_generation = gauge('ebbgate_set_generation', { 'service' }, 'The generation of the set in force.')
metrics.applied_epoch = gauge('ebbgate_applied_epoch', {}, 'The epoch of what is acked.')
metrics.applied_generation = gauge('ebbgate_applied_generation', {}, 'The generation of what is acked.')
metrics.applied_age = gauge('ebbgate_applied_age_seconds', {}, 'Since Redis last answered a catch-up.')
metrics.rejected_sets = gauge('ebbgate_rejected_sets', {}, 'Sets in Redis that were kept out.')
metrics.from_replica = gauge('ebbgate_sets_from_replica', {}, '1 while sets are read from the replica, 0 from the primary.')
metrics.ejections = counter('ebbgate_ejections_total', { 'service', 'reason' },
  'Instances taken out after failed or slow requests.')
metrics.health = gauge('ebbgate_health', { 'service', 'instance', 'state' }, '1 for an instance that is not plainly healthy.')
metrics.panic = gauge('ebbgate_panic', { 'service' }, '1 while the health of a service is ignored: too many are out.')
metrics.breaker_openings = counter('ebbgate_breaker_openings_total', { 'service' }, 'How often the breaker of a service opened.')
metrics.breaker_requests = counter('ebbgate_breaker_requests_total', { 'service', 'result' },
  'Requests that an open breaker kept from the service: refused, answered (by a text), or sent to another service (fallback).')
metrics.breaker_open = gauge('ebbgate_breaker_open', { 'service' }, '1 while the breaker of a service is open.')
metrics.auth = counter('ebbgate_auth_requests_total', { 'service', 'result' },
  'Requests that were asked for an API key: admitted, missing, unknown, expired, not_allowed.')
metrics.concurrency = counter('ebbgate_concurrency_requests_total', { 'service', 'priority', 'result' },
  'Requests that found no place: refused, queued (and served then), expired in the queue, left (their client did).')
metrics.limited = counter('ebbgate_limit_requests_total', { 'service', 'limit', 'result' },
  'Requests that a limit was asked for: admitted, delayed (counted as admitted too), refused.')
metrics.limit_evictions = counter('ebbgate_limit_evictions_total', {},
  'Keys of limits that were forgotten while they still said something, because the memory for limits is full.')
metrics.limit_gateways = gauge('ebbgate_limit_gateways', {},
  'Gateways that share limits of all gateways together, this one included, as Redis last said; 0 if it was never asked.')
metrics.limit_store_away = gauge('ebbgate_limit_store_away', {},
  '1 while Redis does not answer about limits that gateways share, so that this gateway allows only its share of them.')
metrics.probes = counter('ebbgate_probes_total', { 'service', 'result' }, 'Checks that ended.')
metrics.sync_error = counter('ebbgate_sync_errors_total', { 'kind' }, 'What went wrong while following Redis.')
metrics.headers_dropped = counter('ebbgate_request_headers_dropped_total', { 'reason' },
  'Headers of requests that were not passed on because of their name.')
metrics.problem = gauge('ebbgate_problem', { 'kind' }, '1 while this is wrong with the gateway.')
metrics.certificate_end = gauge('ebbgate_certificate_expiry_timestamp_seconds', { 'name' },
  'When the certificate of the folder that is shown for this name ends; a wildcard is one name.')
metrics.free_bytes = gauge('ebbgate_shared_dict_free_bytes', { 'dict' }, 'Free whole pages of a shared dictionary.')

--- What `duration` and the stats that controllers read are made of.
metrics.version_requests = part { 'service', 'version' }
metrics.version_errors = part { 'service', 'version' }
metrics.version_ms = part { 'service', 'version' }
metrics.bucket = part { 'service', 'version', 'index' }

--- The order in which Prometheus sees them.
local ORDER = {
  'requests', 'broken', 'duration', 'retries', 'budget_exhausted', 'in_flight', 'uncounted', 'workers', 'set_generation',
  'applied_epoch', 'applied_generation', 'applied_age', 'rejected_sets', 'from_replica', 'ejections', 'health', 'panic',
  'concurrency', 'breaker_openings', 'breaker_requests', 'breaker_open', 'auth',
  'limited', 'limit_evictions', 'limit_gateways', 'limit_store_away', 'probes',
  'sync_error', 'headers_dropped', 'problem', 'certificate_end', 'free_bytes',
}

local by_id, shown = {}, {}
for id, one in pairs(metrics) do
  one.id, by_id[id] = id, one
end
for i = 1, #ORDER do shown[i] = by_id[ORDER[i]] end

--- All that Prometheus sees, in order.
function metrics.all() return shown end

--- The key of a counter in ebb_metrics, for the values of its labels in their order. No value has a pipe in it (core/keys.lua).
function metrics.key(metric, ...)
  return concat({ metric.id, ... }, '|')
end

--- The metric that a key counts for, and the values of its labels; nil for any other key.
function metrics.parse(key)
  local parts = {}
  for part_of in gmatch(key .. '|', '([^|]*)|') do parts[#parts + 1] = part_of end
  local metric = by_id[table.remove(parts, 1)]
  if not metric or #metric.labels ~= #parts then return nil end
  return metric, parts
end

--- The value of the label `name` among `values`, or nil if the metric has no such label.
function metrics.value_of(metric, values, name)
  for i = 1, #values do
    if metric.labels[i] == name then return values[i] end
  end
  return nil
end

return metrics
