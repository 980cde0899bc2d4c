--- Reports what a try came to: once, when it has ended.
local blame = require 'ebbgate.core.blame'
local tries = require 'ebbgate.phase.http.tries'
local live = require 'ebbgate.worker.live'

local outcome = {}

local ngx, http = ngx, live.http
local find = string.find

--- The request is half-open from now on.
function outcome.risk(ctx, lease)
  ctx.lease = lease
  http.half_open = http.half_open + 1
end

--- Takes the lease from the request, if it is half-open; else false.
local function take_lease(ctx)
  local lease = ctx.lease
  if not lease then return false end
  ctx.lease = false
  http.half_open = http.half_open - 1
  return lease
end

--- The try ended in a way that says nothing about its instance.
function outcome.abandon(ctx)
  local lease = take_lease(ctx)
  if lease then live.abandon(lease) end
end

--- True of an answer that may last for hours.
local function is_stream(status, content_type)
  return status == 101 or content_type ~= nil
    and (find(content_type, '^text/event%-stream') or find(content_type, '^application/grpc')) ~= nil
end

--- With the head of an instance's answer: a half-open request that went well is over if it is a stream. Of all others the
--- body is waited for: it may be what the instance fails at.
function outcome.answered(ctx, status)
  local member = ctx.member
  if not member or not ctx.lease or member.failures[status] then return end
  if not is_stream(status, ngx.var.upstream_http_content_type) then return end
  live.health:outcome(ctx.entry, member, status, take_lease(ctx))
end

--- True if no instance is to blame for a try that failed without an answer after it was connected.
function outcome.is_excused()
  local var = ngx.var
  return tries.reached(var.upstream_connect_time) and (blame.is_upload(var) or blame.is_long_head(var, live.head_bytes))
end

--- Reports what a try at `member` came to: `status` as in live.outcome. A later try that only got what others had left of the
--- request's time, and timed out with it, says nothing about its instance.
function outcome.conclude(ctx, entry, member, status)
  if status == 'error' and not ctx.fault and outcome.is_excused() then return outcome.abandon(ctx) end
  if status == 'timeout' and ctx.tries > 1 and tries.is_over(ctx) then return outcome.abandon(ctx) end
  return live.outcome(entry, member, status, ctx.began, ctx.took, take_lease(ctx))
end

return outcome
