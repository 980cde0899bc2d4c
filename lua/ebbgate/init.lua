--- The gateway's public face: nginx.conf calls these and nothing else.
local options = require 'ebbgate.core.options'

local init = {}

--- What nginx.conf gave, checked: made before the fork, used after it.
local settings

--- init_by_lua: checks the options, loads the sets on disk. Throws on a bad option, so that nginx does not start.
function init.init(given)
  local checked, err = options.check(given)
  if not checked then error('ebbgate: ' .. err, 2) end
  require 'resty.core'
  local boot, live, shm = require 'ebbgate.worker.boot', require 'ebbgate.worker.live', require 'ebbgate.worker.shm'
  checked.redis_address, checked.replica_address = boot.redis(checked, 'redis'), boot.redis(checked, 'redis_replica')
  checked.follow, checked.limit = boot.script('follow'), boot.script('limit')
  checked.names = boot.names(checked.sticky_key_file)
  settings = checked
  local dicts = shm.open()
  boot.prepare(dicts, checked.state_dir, checked.tls_profiles, checked.start_from_disk)
  boot.map_limits(dicts.state, checked.limits_bytes)
  live.certificates = boot.certificates(checked.certificates)
  -- Read before the fork, so that workers share the code's memory.
  require 'ebbgate.worker.background'
  local access, balancer = require 'ebbgate.phase.http.access', require 'ebbgate.phase.http.balancer'
  local filter, log = require 'ebbgate.phase.http.filter', require 'ebbgate.phase.http.log'
  local status = require 'ebbgate.phase.http.status'
  init.route, init.access, init.resume = access.route, access.run, access.resume
  init.balance, init.log = balancer.run, log.run
  init.header_filter, init.body_filter = filter.header, filter.body
  init.certificate = live.certificates and require('ebbgate.phase.tls.handshake').certificate
  init.healthz, init.readyz, init.metrics, init.sets = status.healthz, status.readyz, status.metrics, status.sets
end

--- init_worker_by_lua.
function init.init_worker()
  -- nginx's cache helpers run this too; they have no number.
  if not ngx.worker.id() then return end
  local boot, live = require 'ebbgate.worker.boot', require 'ebbgate.worker.live'
  local startup = require 'ebbgate.worker.startup'
  local dicts = require('ebbgate.worker.shm').open()
  boot.seed()
  boot.relax_collector()
  local incarnation = boot.enlist(dicts.state)
  live.start({
    dicts = dicts, incarnation = incarnation, tools = boot.tools(settings.tls_profiles), max_tries = settings.max_tries,
    access_log = settings.access_log, client_send_ms = settings.client_send_ms,
    head_bytes = settings.head_bytes, zone = settings.zone, header_names = settings.header_names,
    names = settings.names, limits = boot.limits(dicts.state, incarnation),
    pattern = require 'ebbgate.worker.pattern',
    sha256 = require('ebbgate.worker.auth.sha256').new(),
    is_safe = require('ebbgate.phase.http.methods').is_safe,
    log_texts = require('ebbgate.phase.http.log_text').parse(settings.log_texts),
    serve_at = startup.ends(dicts.state, settings.start_wait_ms),
  })
  require('ebbgate.worker.background').start(settings, dicts, incarnation)
end

return init
