--- Writes the gateway's own answers: the one place that knows how a refusal looks.
local grpc_status = require 'ebbgate.core.grpc_status'
local problem_json = require 'ebbgate.core.problem_json'
local live = require 'ebbgate.worker.live'

local refuse = {}

local ngx = ngx
--- How nginx calls it.
local CLIENT_LEFT = 499

--- Sets status and headers, and returns the body. `about` (optional): what a policy says of it. A client of gRPC reads no body:
--- it gets '', and HTTP says 200.
function refuse.head(status, code, var, about)
  local header = ngx.header
  if grpc_status.asked(var.content_type) then
    ngx.status = 200
    grpc_status.refuse(header, status)
    return ''
  end
  local body = problem_json.body(code, status, var.request_id, about and about.names)
  if ngx.status ~= status then ngx.status = status end
  header.content_type, header.content_length = problem_json.CONTENT_TYPE, #body
  if status == 503 then header.retry_after = '1' end
  return body
end

--- Says which limits refused a request, what is left of all of them, and when to come again
--- (draft-ietf-httpapi-ratelimit-headers-10).
local function say_limits(about, var)
  local header = ngx.header
  header['RateLimit-Policy'], header.RateLimit, header.retry_after = about.policy, about.left, about.retry
  if live.access_log then var.ebb_limited_by = table.concat(about.names, ', ') end
end

local function send(body)
  if body == '' then ngx.send_headers() else ngx.print(body) end
  return ngx.exit(ngx.HTTP_OK)
end

--- Answers with a text that the service has for this, in place of the problem `code`: {status, content_type, body}. A client of
--- gRPC would not read it.
local function answer_otherwise(ctx, code, var, answer)
  if grpc_status.asked(var.content_type) then return refuse.answer(ctx, code, var) end
  local header = ngx.header
  ctx.answered, ngx.status = answer.status, answer.status
  header.content_type, header.content_length = answer.content_type, #answer.body
  if answer.status == 503 then header.retry_after = '1' end
  return send(answer.body)
end

--- Ends a request whose client has left while it waited.
local function end_silently(ctx)
  ctx.answered = CLIENT_LEFT
  return ngx.exit(CLIENT_LEFT)
end

--- Answers with the problem `code`, before anything is picked. Ends the access phase. `about`: what a policy says of it, or nil.
function refuse.answer(ctx, code, var, about)
  if code == 'client_left' then return end_silently(ctx) end
  if about and about.answer then return answer_otherwise(ctx, code, var, about.answer) end
  local status = about and about.status or problem_json.status_of(code)
  ctx.answered = status
  local body = refuse.head(status, code, var, about)
  if about and about.policy then
    say_limits(about, var)
  elseif about and about.challenge then
    ngx.header['WWW-Authenticate'] = about.challenge
  end
  if about and about.say then about.say() end
  return send(body)
end

--- A 502 with that body as bytes, where nginx writes no head.
function refuse.bytes(body, var)
  local top = 'HTTP/1.1 502 Bad Gateway\r\nContent-Type: ' .. problem_json.CONTENT_TYPE .. '\r\nContent-Length: ' .. #body
    .. '\r\nConnection: close\r\nX-Request-Id: ' .. var.request_id .. '\r\n\r\n'
  return ngx.req.get_method() == 'HEAD' and top or top .. body
end

return refuse
