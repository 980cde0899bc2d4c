--- The way of a request before the pick: route → admit → the balancer, or refuse.
local act = require 'ebbgate.phase.http.act'
local admit = require 'ebbgate.phase.http.admit'
local client = require 'ebbgate.phase.http.client'
local context = require 'ebbgate.phase.http.context'
local instead = require 'ebbgate.phase.http.instead'
local refuse = require 'ebbgate.phase.http.refuse'
local route = require 'ebbgate.phase.http.route'
local get_request = require('resty.core.base').get_request
local live = require 'ebbgate.worker.live'
local policies = require 'ebbgate.worker.policies'
local startup = require 'ebbgate.worker.startup'

local access = {}

local ngx = ngx

--- Decides on a request: the service that it goes to and its upstream; code of a refusal or of an answer of its route, or nil;
--- what a policy or the route says of it, the seconds that a policy has it wait, and its turn in the queue of one. `actions`:
--- what its route does, if anything.
local function decide(var, entry, upstream, code, actions)
  if code then return entry, upstream, code end
  local about, wait, turn
  if actions then
    code, about = act.refusal(actions, var)
    if code then return entry, upstream, code, about end
  end
  code, about, wait, turn = admit.refusal(upstream, var)
  if code and upstream and (code == 'breaker_open' or code == 'no_instance') then
    return instead.of(entry, upstream, code, about, var)
  end
  return entry, upstream, code, about, wait, turn
end

--- Lets an admitted request go on: its service, or nil and the name of the proxy location that it has to take.
local function go_on(entry, upstream, var, actions)
  local location = upstream.location and route.location(upstream)
  if location then return nil, location end
  local ctx = context.admitted(entry, upstream, var)
  ngx.ctx = ctx
  if actions then act.begin(ctx, actions, var, upstream) end
  return entry.service
end

--- In set_by_lua, which unlike the access phase needs no coroutine: the service, or nil if `run` must handle the request. What
--- was said of keys and by policies is kept for it: they may be asked only once.
function access.route()
  if not live.serving then return nil end
  local var = ngx.var
  local asked, its, unrouted, actions = route.find(var)
  local entry, upstream, code, about, wait, turn = decide(var, asked, its, unrouted, actions)
  if not code and not wait and not turn then
    local service = go_on(entry, upstream, var, actions)
    if service then return service end
  end
  -- Of another service only those may have been asked which answers in place of the first.
  if its and (its.policies or its.auth or upstream ~= its) then
    live.http.decided = {
      request = get_request(), entry = entry, upstream = upstream, code = code, about = about, wait = wait,
      actions = actions, turn = turn,
    }
  end
  return nil
end

--- What `route` has decided of this request, or nil.
local function decided()
  local decision = live.http.decided
  live.http.decided = false
  return decision and decision.request == get_request() and decision or nil
end

--- Sends a request to a proxy location. Nothing is picked or counted yet, so nothing is lost with its context; but what admitted
--- it must hear of its end, also if the set has moved while it waited.
local function send_to(location, upstream, actions)
  live.http.admitted_by, live.http.acting = upstream.policies, actions or false
  return ngx.exec(location)
end

--- In the access phase, for what `route` left: waits until this gateway may serve, or as long as a policy says, and answers if
--- the request may not go on.
function access.run()
  local known, var = decided(), ngx.var
  local entry, upstream, code, about, wait, turn, actions
  if known then
    entry, upstream, code, about, wait = known.entry, known.upstream, known.code, known.about, known.wait
    turn, actions = known.turn, known.actions
  elseif startup.wait() then
    entry, upstream, code, actions = route.find(var)
    entry, upstream, code, about, wait, turn = decide(var, entry, upstream, code, actions)
  else
    code = 'left'
  end
  var.ebb_service = entry and entry.service or ''
  if not code and wait then ngx.sleep(wait) end
  if turn then code, about = policies.attend(upstream.policies, turn, var, client.is_gone) end
  if not code then
    local service, location = go_on(entry, upstream, var, actions)
    if service then return end
    return send_to(location, upstream, actions)
  end
  local ctx = context.new(entry or false)
  ngx.ctx = ctx
  if actions then return act.answer(ctx, code, about, actions, var) end
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
  local actions = live.http.acting
  live.http.acting = false
  if actions then act.begin(ctx, actions, var, upstream) end
  return entry.service
end

return access
