--- Every key that the gateway uses in Redis and in its shared dictionaries.
---
--- No part has a pipe in it (wire.lua checks), so keys of several parts are joined by one.
local keys = {}

--- Redis (docs/contract/wire.md).
keys.redis = {
  meta = '{ebb}:meta',
  index = '{ebb}:index',
  gateways = '{ebb}:gateways',
  changed = '{ebb}:changed',
  report = '{ebb}:report',
  limit_gateways = '{ebb}:limit:gateways',
}
function keys.redis.set(name) return '{ebb}:set:' .. name end
function keys.redis.heartbeat(gateway) return '{ebb}:gw:' .. gateway end
function keys.redis.limit(digest) return '{ebb}:limit:' .. digest end
function keys.redis.stats(gateway) return '{ebb}:stats:' .. gateway end

--- ebb_sets. `stamp|<name>` is the generation key: a number of this nginx that is new at every change of the set, so that
--- a lower generation of a newer epoch is a change too. `record|<name>` says what was published (position.pack_record).
--- `document|<name>|<stamp>` is the payload: a new key each time, because a dictionary that is full forgets the old value
--- when it refuses the new one.
keys.sets = { last_stamp = 'last_stamp' }
function keys.sets.stamp(name) return 'stamp|' .. name end
function keys.sets.record(name) return 'record|' .. name end
function keys.sets.document(name, stamp) return 'document|' .. name .. '|' .. stamp end
--- The name in a key that `keys.sets.record` made, else nil.
function keys.sets.name_of_record(key) return string.match(key, '^record|(.+)$') end

--- ebb_inflight: open requests, one counter per worker incarnation and instance. `uncounted|<worker>` counts those that
--- could not get a counter; `uncounted` alone those of a worker that could not even get that. `made` grows with every new key.
keys.inflight = { made = 'made', uncounted = 'uncounted' }
function keys.inflight.counter(worker, service, instance) return worker .. '|' .. service .. '|' .. instance end
function keys.inflight.uncounted_of(worker) return 'uncounted|' .. worker end
--- The worker and `service|instance` in a counter's key, else nil.
function keys.inflight.parse(key) return string.match(key, '^([^|]+)|([^|]+|[^|]+)$') end

--- ebb_state. `limits` is the address of worker/limit/memory.lua; it has another name whenever what is there changes, because
--- after a reload workers of two releases run. `shares_limits`: some set has a limit of all gateways together.
keys.state = {
  boot = 'boot', started = 'started', started_at = 'started_at', seq = 'seq', serving = 'serving', blind = 'blind',
  applied = 'applied', floor = 'floor', rejected = 'rejected', sealed_epoch = 'sealed_epoch', caught_up_at = 'caught_up_at',
  profiles = 'profiles', lock = 'lock', redis = 'redis', redis_since = 'redis_since', source = 'source', left = 'left',
  limits = 'limits_64', shares_limits = 'shares_limits',
}
function keys.state.problem(kind) return 'problem|' .. kind end
function keys.state.worker(incarnation) return 'worker|' .. incarnation end
--- The incarnation in a key that `keys.state.worker` made, else nil.
function keys.state.worker_of(key) return string.match(key, '^worker|(.+)$') end

--- ebb_health. `name` is that of an instance at its address: one that moves begins again. `version` grows with every change,
--- and with it `changed|<service>`; a service without the second has nothing to look for. `due` is when a check is to begin.
--- `breaker` is there while the breaker of the service is open (worker/service_breaker.lua).
keys.health = { version = 'version', lock = 'lock' }
function keys.health.name(service, p) return service .. '|' .. p.id .. '|' .. p.host .. ':' .. p.port end
function keys.health.changed(service) return 'changed|' .. service end
function keys.health.passive(name) return 'passive|' .. name end
function keys.health.active(name) return 'active|' .. name end
function keys.health.warm(name) return 'warm|' .. name end
function keys.health.lease(name) return 'lease|' .. name end
function keys.health.due(name) return 'due|' .. name end
function keys.health.breaker(service) return 'breaker|' .. service end
function keys.health.breaker_lease(service) return 'breakerlease|' .. service end
function keys.health.fails(name, slot) return 'fails|' .. name .. '|' .. slot end
function keys.health.streak(name) return 'streak|' .. name end
function keys.health.results(name, bucket) return 'results|' .. name .. '|' .. bucket end
--- The service in any of these keys, and the `name` if it is about an instance; nil for the two of the gateway itself.
function keys.health.parse(key)
  local service, rest = string.match(key, '^%l+|([^|]+)(.*)$')
  local instance = service and string.match(rest, '^|[^|]+|[^|]+')
  return service, instance and service .. instance
end

--- ebb_metrics: beside the counters (core/metrics.lua) a number that grows with every new one.
keys.metrics = { made = 'made' }

return keys
