--- Turns nginx's own error pages into problem+json. Filters, not error_page: an internal redirect would lose what the
--- request holds. What an instance answered passes untouched, its errors too.
local connection = require 'ebbgate.core.connection'
local grpc_status = require 'ebbgate.core.grpc_status'
local problem_json = require 'ebbgate.core.problem_json'
local affinity = require 'ebbgate.phase.http.affinity'
local note_end = require('ebbgate.phase.http.ending').note
local head = require 'ebbgate.phase.http.head'
local tries = require 'ebbgate.phase.http.tries'
local live = require 'ebbgate.worker.live'

local filter = {}

local ngx = ngx
local byte, http_version = string.byte, ngx.req.http_version
local DASH = byte('-')

--- Requests of this worker whose problem is not written yet. Almost always 0, and looking up a request's context costs more
--- than all else in the body filter, which runs twice per answer.
local unwritten = 0

--- True if an instance sent the response's head: the last try then has a time for it, where a failed one has a dash.
local function from_instance(header_time)
  return header_time ~= nil and header_time ~= '' and byte(header_time, -1) ~= DASH
end

--- What nginx's own error stands for: a status and a code. It says 502 where this gateway refused another try; the client is told
--- how the last one ended, or that the time is over.
local function meaning(ctx, status)
  if ctx.fault then return 502, 'instance_failed' end
  if (status == 502 or status == 504) and tries.is_over(ctx) then return 504, 'gateway_timeout' end
  if status ~= 502 or not ctx.verdict then return status, problem_json.code_of(status) end
  return ctx.verdict, ctx.answer and 'instance_failed' or problem_json.code_of(ctx.verdict)
end

--- Takes out the headers that the answer's Connection header (or nil) names: they are about the connection to the instance.
local function drop_hops(value)
  if not value or connection.is_plain(value) then return end
  local present = {}
  for name in pairs(ngx.resp.get_headers(0, true)) do present[string.lower(name)] = true end
  local names, header = connection.nominated({ value }, present), ngx.header
  for i = 1, #names do header[names[i]] = nil end
end

--- A 502 with that body as bytes, where nginx writes no head.
local function plain_answer(body)
  local top = 'HTTP/1.1 502 Bad Gateway\r\nContent-Type: ' .. problem_json.CONTENT_TYPE .. '\r\nContent-Length: ' .. #body
    .. '\r\nConnection: close\r\nX-Request-Id: ' .. ngx.var.request_id .. '\r\n\r\n'
  return ngx.req.get_method() == 'HEAD' and top or top .. body
end

--- Gives the client the gateway's own 502 in place of an answer that may not pass: nginx closes both connections. By the code
--- 500, because of these two only that makes nginx say `Connection: close`; `meaning` makes it 502.
local function reject(fault)
  ngx.ctx.fault = fault
  return ngx.exit(500)
end

--- With the head of an instance's answer.
local function receive(status, var)
  local fault = head.fault(status, var)
  if fault then return reject(fault) end
  drop_hops(var.upstream_http_connection)
  -- The only protocol that a connection is given to, so that no other name need be passed on.
  if status == 101 then ngx.header.upgrade = 'websocket' end
  if live.attentive then affinity.note(ngx.ctx, var) end
  if tries.half_open_requests > 0 then tries.answered(ngx.ctx, status) end
end

function filter.header()
  local status, var = ngx.status, ngx.var
  if status < 400 then return receive(status, var) end
  local ctx = ngx.ctx
  if ctx.answered then return end
  if not ctx.fault and from_instance(var.upstream_header_time) then return receive(status, var) end
  local meant, code = meaning(ctx, status)
  local header = ngx.header
  ctx.own = meant
  if grpc_status.asked(var.content_type) then
    ngx.status = 200
    grpc_status.refuse(header, meant)
    ctx.problem, unwritten = '', unwritten + 1
    return
  end
  if meant ~= status then
    ngx.status = meant
    status = meant
  end
  local body = problem_json.body(code, status, var.request_id)
  ctx.problem, unwritten = body, unwritten + 1
  header.content_type = problem_json.CONTENT_TYPE
  header.content_length = #body
  if status == 503 then header.retry_after = '1' end
end

function filter.body()
  note_end(ngx.arg[2])
  if unwritten == 0 then return end
  local ctx = ngx.ctx
  local body = ctx.problem
  if not body then return end
  -- An answer that is no HTTP made nginx take the request for one of HTTP/0.9, whose answers have no head.
  if ctx.fault and body ~= '' and http_version() == 0.9 and ngx.var.server_protocol ~= 'HTTP/2.0' then
    body = plain_answer(body)
  end
  ngx.arg[1] = body
  ctx.problem = ''
end

--- In the log phase: whether or not the body was asked for, the request is over.
function filter.forget(ctx)
  if ctx.problem then unwritten = unwritten - 1 end
end

return filter
