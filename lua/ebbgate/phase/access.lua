--- Chooses the service, before anything is picked: what cannot be served is answered here.
local connection = require 'ebbgate.core.connection'
local problem = require 'ebbgate.core.problem'
local live = require 'ebbgate.worker.live'
local startup = require 'ebbgate.worker.startup'

local access = {}

local ngx = ngx
local clear_header = ngx.req.clear_header

--- Answers with one of the gateway's own problems.
local function refuse(ctx, status, code, var)
  ctx.answered = true
  ngx.status = status
  ngx.header.content_type = problem.CONTENT_TYPE
  local body = problem.body(code, status, var.request_id)
  ngx.header.content_length = #body
  if status == 503 then ngx.header.retry_after = '1' end
  ngx.print(body)
  return ngx.exit(ngx.HTTP_OK)
end

--- The headers that the client's Connection header names are about its connection to us.
local function strip(value)
  local names = connection.nominated(value)
  if not names then return end
  for i = 1, #names do clear_header(names[i]) end
end

function access.run()
  if not startup.over then startup.wait() end
  local var = ngx.var
  -- One table per request, with room for all that the later phases put in.
  local ctx = {
    entry = nil, member = nil, counter = nil, tries = 0, limit = 1, tried = nil, instances = nil, answered = false,
  }
  ngx.ctx = ctx
  local router = live.router()
  if not router then return refuse(ctx, 503, 'not_ready', var) end
  local service = router:match(var.host, var.uri)
  if not service then return refuse(ctx, 404, 'no_route', var) end
  var.ebb_service = service
  local entry = live.entry(service)
  ctx.entry = entry
  local fleet = live.fleet(entry)
  if not fleet or fleet.picker.size == 0 then return refuse(ctx, 503, 'no_instance', var) end
  strip(var.http_connection)
end

return access
