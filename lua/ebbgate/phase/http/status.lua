--- The admin listener's pages.
local exposition = require 'ebbgate.core.exposition'
local clock = require 'ebbgate.worker.clock'
local live = require 'ebbgate.worker.live'

local status = {}

local ngx = ngx

local function answer(code, content_type, body)
  ngx.status = code
  ngx.header.content_type = content_type
  ngx.header.content_length = #body
  ngx.header.cache_control = 'no-store'
  ngx.print(body)
end

--- 200 as long as this worker answers at all.
function status.healthz()
  answer(200, 'application/json', '{"status":"ok"}\n')
end

--- 200 if it can route requests, else 503. It stays ready without Redis: it serves what it has.
function status.readyz()
  local ready, body = live.inspection:readiness(clock.now())
  answer(ready and 200 or 503, 'application/json', body)
end

function status.metrics()
  live.counters:flush()
  answer(200, exposition.CONTENT_TYPE, exposition.render(live.metrics:families(clock.now())))
end

--- Every set in force, with its position.
function status.sets()
  answer(200, 'application/json', live.inspection:sets())
end

return status
