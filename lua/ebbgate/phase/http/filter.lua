--- Turns nginx's own error pages into the gateway's. Filters, not error_page: an internal redirect would lose the context of
--- the request. What an instance answered passes untouched, its errors too.
local problem_json = require 'ebbgate.core.problem_json'
local act = require 'ebbgate.phase.http.act'
local affinity = require 'ebbgate.phase.http.affinity'
local note_end = require('ebbgate.phase.http.ending').note
local head = require 'ebbgate.phase.http.head'
local outcome = require 'ebbgate.phase.http.outcome'
local refuse = require 'ebbgate.phase.http.refuse'
local tries = require 'ebbgate.phase.http.tries'
local live = require 'ebbgate.worker.live'

local filter = {}

local ngx, http = ngx, live.http
local byte, http_version = string.byte, ngx.req.http_version
local DASH = byte('-')

--- True if an instance sent the response's head: the last try then has a time for it, where a failed one has a dash.
local function from_instance(header_time)
  return header_time ~= nil and header_time ~= '' and byte(header_time, -1) ~= DASH
end

--- What nginx's own error means: a status and a code. It says 502 where this gateway refused another try; the client gets
--- how the last one ended, or that the time is over.
local function meaning(ctx, status)
  if ctx.fault then return 502, 'instance_failed' end
  if (status == 502 or status == 504) and tries.is_over(ctx) then return 504, 'gateway_timeout' end
  if status == 502 and ctx.full then return ctx.verdict, 'at_capacity' end
  if status ~= 502 or not ctx.verdict then return status, problem_json.code_of(status) end
  return ctx.verdict, ctx.answer and 'instance_failed' or problem_json.code_of(ctx.verdict)
end

--- Gives the client the gateway's own 502 in place of an answer that may not pass: nginx closes both connections. By the code
--- 500, because of these two only that makes nginx say `Connection: close`; `meaning` makes it 502.
local function reject(fault)
  ngx.ctx.fault = fault
  return ngx.exit(500)
end

--- With the head of an instance's answer. False if it may not pass.
local function receive(status, var)
  local fault = head.fault(status, var)
  if fault then
    reject(fault)
    return false
  end
  head.drop_hops(var.upstream_http_connection)
  -- The only protocol that a connection is given to, so that no other name need be passed on.
  if status == 101 then ngx.header.upgrade = 'websocket' end
  if live.attentive then affinity.note(ngx.ctx, var) end
  if http.half_open > 0 then outcome.answered(ngx.ctx, status) end
  return true
end

--- False if another answer takes this one's place.
local function pass(status, var)
  if status < 400 then return receive(status, var) end
  local ctx = ngx.ctx
  if ctx.answered then return true end
  if not ctx.fault and from_instance(var.upstream_header_time) then return receive(status, var) end
  local meant, code = meaning(ctx, status)
  ctx.own, ctx.unwritten = meant, refuse.head(meant, code, var)
  http.unwritten = http.unwritten + 1
  return true
end

function filter.header()
  local var = ngx.var
  if pass(ngx.status, var) and http.shaping then act.respond(ngx.ctx, var) end
end

function filter.body()
  note_end(ngx.arg[2])
  if http.unwritten == 0 then return end
  local ctx = ngx.ctx
  local body = ctx.unwritten
  if not body then return end
  -- An answer that is no HTTP made nginx take the request for one of HTTP/0.9, whose answers have no head.
  if ctx.fault and body ~= '' and http_version() == 0.9 and ngx.var.server_protocol ~= 'HTTP/2.0' then
    body = refuse.bytes(body, ngx.var)
  end
  ngx.arg[1] = body
  ctx.unwritten = ''
end

--- In the log phase: whether or not the body was asked for, the request is over.
function filter.forget(ctx)
  if ctx.unwritten then http.unwritten = http.unwritten - 1 end
end

return filter
