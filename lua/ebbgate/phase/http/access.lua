--- Chooses the service, before anything is picked: what cannot be served is answered here.
local grpc_status = require 'ebbgate.core.grpc_status'
local problem_json = require 'ebbgate.core.problem_json'
local affinity = require 'ebbgate.phase.http.affinity'
local methods = require 'ebbgate.phase.http.methods'
local request_clock = require 'ebbgate.phase.http.request_clock'
local request_head = require 'ebbgate.phase.http.request_head'
local live = require 'ebbgate.worker.live'
local startup = require 'ebbgate.worker.startup'

local access = {}

local ngx = ngx
local began = request_clock.began
local byte = string.byte
local AT = byte('@')
local STATUS = { no_route = 404, bad_request = 400 }

--- One table per request, with room for all that the later phases put in: false, not nil, because LuaJIT leaves nil out of
--- the template, and the three keys that every request sets would then make the table grow each time. What only failures set
--- is left out: beyond 16 keys every request would pay for a table of twice the size.
local function new_ctx(entry)
  return {
    entry = entry or false, member = false, counter = false, tries = 0, limit = 1, tried = false, instances = false,
    answered = false, key = false, began = false, took = false, token = false, transport = false, deadline = false,
    lease = false, at = began(),
  }
end

--- The same, with what the service's balancer wants to know of the request.
local function begin(entry, upstream, var)
  local ctx = new_ctx(entry)
  if upstream.sticky or upstream.key_variable then affinity.read(ctx, upstream, var) end
  return ctx
end

--- Answers with one of the gateway's own problems.
local function refuse(ctx, status, code, var)
  ctx.answered = status
  if grpc_status.asked(var.content_type) then
    grpc_status.refuse(ngx.header, status)
    ngx.status = 200
    ngx.send_headers()
    return ngx.exit(ngx.HTTP_OK)
  end
  ngx.status = status
  ngx.header.content_type = problem_json.CONTENT_TYPE
  local body = problem_json.body(code, status, var.request_id)
  ngx.header.content_length = #body
  if status == 503 then ngx.header.retry_after = '1' end
  ngx.print(body)
  return ngx.exit(ngx.HTTP_OK)
end

--- The proxy location of a service that needs one, for this request. What may not be repeated gets no answer tried elsewhere,
--- and where there is one instance there is no elsewhere: such requests take the location in which only broken tries are
--- repeated.
local function location_of(upstream)
  if upstream.location == upstream.cautious then return upstream.location end
  if upstream.reach == 1 and live.must_tell or not methods.may_repeat() then return upstream.cautious end
  return upstream.location
end

--- Returns the service that has an instance for the request, and nil. Or nil, why there is none, and the
--- entry of the service if there is a route to one. For a service that needs a location of its own
--- (core/proxy_location.lua) the reason is that location's name.
local function route(var)
  local router = live.router()
  if not router then return nil, 'not_ready' end
  local service = router:match(var.host, var.uri)
  if not service then return nil, 'no_route' end
  local entry = live.entry(service)
  local upstream = live.upstream(entry)
  if not upstream or upstream.reach == 0 and not affinity.is_kept(upstream, var) then return nil, 'no_instance', entry end
  if not request_head.clean() then return nil, 'bad_request', entry end
  local location = upstream.location and location_of(upstream)
  if location then return nil, location, entry end
  ngx.ctx = begin(entry, upstream, var)
  return service
end

--- In set_by_lua, which unlike the access phase needs no coroutine: the service, or nil if `run` must see to the request.
function access.route()
  if not startup.over then return nil end
  return (route(ngx.var))
end

--- In the access phase, for what `route` left: waits until this gateway may serve, or answers why it cannot.
function access.run()
  local may_serve, var = startup.wait(), ngx.var
  local service, code, entry = nil, 'left', nil
  if may_serve then service, code, entry = route(var) end
  var.ebb_service = service or entry and entry.service or ''
  if service then return end
  -- Nothing is picked or counted yet, so nothing is lost with what the request held.
  if byte(code) == AT then return ngx.exec(code) end
  local ctx = new_ctx(entry)
  ngx.ctx = ctx
  return refuse(ctx, STATUS[code] or 503, code, var)
end

--- In set_by_lua of a proxy location: makes anew what was lost on the way. The service comes back.
function access.resume()
  local var = ngx.var
  local service = var.ebb_service
  local entry = live.entry(service)
  local upstream = entry.upstream
  local ctx = upstream and begin(entry, upstream, var) or new_ctx(entry)
  ctx.transport = upstream and upstream.transport or false
  ngx.ctx = ctx
  return service
end

return access
