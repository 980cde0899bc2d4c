--- Carries out what routes do (core/route_actions.lua). A request whose route does nothing never comes here.
local add_header = require('ngx.resp').add_header
local network = require 'ebbgate.core.network'
local route_actions = require 'ebbgate.core.route_actions'
local timeouts = require 'ebbgate.core.timeouts'
local refuse = require 'ebbgate.phase.http.refuse'

local act = {}

local ngx = ngx
local get_method, get_headers, set_header, clear_header, set_uri = ngx.req.get_method, ngx.req.get_headers, ngx.req.set_header,
  ngx.req.clear_header, ngx.req.set_uri

--- What only the answer to a preflight says.
local OF_PREFLIGHTS = { 'Access-Control-Allow-Methods', 'Access-Control-Allow-Headers', 'Access-Control-Max-Age' }

--- What usually has a body. Over HTTP/2 nothing else says that one of unknown length comes.
local WITH_BODY = { POST = true, PUT = true, PATCH = true }

local function scheme_of(var)
  local scheme = var.ebb_forwarded_proto or var.scheme
  return (scheme == 'https' or scheme == 'wss') and 'https' or 'http'
end

local function location_of(actions, var)
  return route_actions.location(actions, {
    scheme = scheme_of(var), host = var.ebb_host, name = var.host, path = var.uri, target = var.request_uri, args = var.args,
  })
end

--- Why a body is refused: its length is too large, or not known.
local function body_fault(most, var)
  local length = var.content_length
  if length and length ~= '' then return (tonumber(length) or most + 1) > most and 'too_large' or nil end
  if var.http_transfer_encoding then return 'length_required' end
  return var.server_protocol == 'HTTP/2.0' and WITH_BODY[get_method()] and 'length_required' or nil
end

--- Why the request goes no further: a code for `answer`, and with 'redirect' where to; nil if it does.
function act.refusal(actions, var)
  if not route_actions.admits(actions, network.plain(var.binary_remote_addr)) then return 'denied' end
  if actions.cors and get_method() == 'OPTIONS' and var.http_origin and var.http_access_control_request_method then
    return 'preflight'
  end
  if actions.maintenance then return 'maintenance' end
  if actions.redirect then
    local location = location_of(actions, var)
    if location then return 'redirect', location end
  end
  return actions.most and body_fault(actions.most, var) or nil
end

--- Answers, and ends the access phase.
local function send(ctx, status, body)
  ctx.answered, ngx.status = status, status
  local header = ngx.header
  if status ~= 204 then header.content_length = #body end
  if body == '' then ngx.send_headers() else ngx.print(body) end
  return ngx.exit(ngx.HTTP_OK)
end

local function answer_preflight(ctx, cors)
  local header = ngx.header
  header['Access-Control-Allow-Methods'], header['Access-Control-Max-Age'] = cors.methods, cors.max_age
  if cors.headers ~= '' then header['Access-Control-Allow-Headers'] = cors.headers end
  return send(ctx, 204, '')
end

local function answer_maintenance(ctx, maintenance, var)
  local header = ngx.header
  local function say_retry()
    header.retry_after = maintenance.retry_after_s > 0 and tostring(maintenance.retry_after_s) or nil
  end
  if maintenance.body == '' then
    return refuse.answer(ctx, 'maintenance', var, { status = maintenance.status, say = say_retry })
  end
  say_retry()
  header.content_type = maintenance.content_type .. (maintenance.content_type ~= 'application/json' and '; charset=utf-8' or '')
  return send(ctx, maintenance.status, maintenance.body)
end

--- Answers what `refusal` said, or another refusal, with what a policy says of it. Ends the access phase.
function act.answer(ctx, code, about, actions, var)
  ctx.actions = actions
  if code == 'preflight' then return answer_preflight(ctx, actions.cors) end
  if code == 'maintenance' then return answer_maintenance(ctx, actions.maintenance, var) end
  if code ~= 'redirect' then return refuse.answer(ctx, code, var, about) end
  ngx.header.location = about
  return send(ctx, actions.redirect.status, '')
end

local function change_request(changes)
  for _, name in ipairs(changes.remove) do clear_header(name) end
  for _, one in ipairs(changes.set) do set_header(one.name, one.value) end
  for _, one in ipairs(changes.add) do
    local there = get_headers(0)[one.name]
    local values = type(there) == 'table' and there or { there }
    values[#values + 1] = one.value
    set_header(one.name, values)
  end
end

--- On the way to the service, once for each request. `upstream` may be nil.
function act.begin(ctx, actions, var, upstream)
  ctx.actions = actions
  if actions.request then change_request(actions.request) end
  if actions.timeouts and upstream then ctx.waits = timeouts.with(upstream.timeouts, actions.timeouts) end
  -- The third argument: whatever bytes it has, nginx writes them escaped.
  if actions.rewrite then set_uri(route_actions.moved(var.uri, actions.path, actions.rewrite), false, true) end
end

local function change_response(changes)
  local header = ngx.header
  for _, name in ipairs(changes.remove) do header[name] = nil end
  for _, one in ipairs(changes.set) do header[one.name] = one.value end
  for _, one in ipairs(changes.add) do add_header(one.name, one.value) end
end

--- What the service says of CORS itself is taken away: one of the two decides.
local function say_cors(cors, ctx, var)
  local header = ngx.header
  local allowed = route_actions.allowed_origin(cors, var.http_origin)
  header['Access-Control-Allow-Origin'] = allowed
  header['Access-Control-Allow-Credentials'] = allowed and cors.credentials and 'true' or nil
  header['Access-Control-Expose-Headers'] = allowed and cors.expose ~= '' and cors.expose or nil
  if ctx.answered ~= 204 or not allowed then
    for _, name in ipairs(OF_PREFLIGHTS) do header[name] = nil end
  end
  if not cors.any then add_header('Vary', 'Origin') end
end

--- With the head of an answer, whoever gave it.
function act.respond(ctx, var)
  local actions = ctx.actions
  if not actions or not actions.shapes then return end
  if actions.response then change_response(actions.response) end
  if actions.cors then say_cors(actions.cors, ctx, var) end
end

return act
