--- The way of a request before the pick: route → admit → the balancer, or refuse.
local admit = require 'ebbgate.phase.http.admit'
local context = require 'ebbgate.phase.http.context'
local refuse = require 'ebbgate.phase.http.refuse'
local route = require 'ebbgate.phase.http.route'
local live = require 'ebbgate.worker.live'
local startup = require 'ebbgate.worker.startup'

local access = {}

local ngx = ngx
local byte = string.byte
local AT = byte('@')

--- The service, if the request may go on in this location. Else nil and why not: the code of a refusal, or the name of its proxy
--- location; then the entry of its service, if it has a route to one, and what a policy says of the refusal.
local function pass(entry, upstream, code, var)
  local about
  if not code then code, about = admit.refusal(upstream, var) end
  if code then return nil, code, entry, about end
  local location = upstream.location and route.location(upstream)
  if location then return nil, location, entry end
  ngx.ctx = context.admitted(entry, upstream, var)
  return entry.service
end

--- In set_by_lua, which unlike the access phase needs no coroutine: the service, or nil if `run` must handle the request.
--- Policies may have to wait, which only `run` can.
function access.route()
  if not live.serving then return nil end
  local var = ngx.var
  local entry, upstream, code = route.find(var)
  if upstream and upstream.policies then return nil end
  return (pass(entry, upstream, code, var))
end

--- In the access phase, for what `route` left: waits until this gateway may serve, and answers if it cannot.
function access.run()
  local may_serve, var = startup.wait(), ngx.var
  local service, code, entry, upstream, about = nil, 'left', nil, nil, nil
  if may_serve then
    entry, upstream, code = route.find(var)
    service, code, entry, about = pass(entry, upstream, code, var)
  end
  var.ebb_service = service or entry and entry.service or ''
  if service then return end
  -- Nothing is picked or counted yet, so nothing is lost with the context of the request.
  if byte(code) == AT then
    -- The set may have moved while a policy made the request wait: what admitted it must hear of its end.
    live.http.admitted_by = upstream.policies
    return ngx.exec(code)
  end
  local ctx = context.new(entry or false)
  ngx.ctx = ctx
  return refuse.answer(ctx, code, var, about)
end

--- In set_by_lua of a proxy location: makes the context again, which nginx drops on the way. Returns the service.
function access.resume()
  local var = ngx.var
  local entry = live.entry(var.ebb_service)
  local upstream = entry.upstream
  local ctx = upstream and context.admitted(entry, upstream, var) or context.new(entry)
  ctx.policies, live.http.admitted_by = live.http.admitted_by, false
  ngx.ctx = ctx
  return entry.service
end

return access
