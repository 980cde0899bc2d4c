--- How many tries a request gets, and how long each may wait. Runs in the balancer phase.
local balancer = require 'ngx.balancer'
local blame = require 'ebbgate.core.blame'
local named = require('ebbgate.core.upstream').named
local timeouts = require 'ebbgate.core.timeouts'
local methods = require 'ebbgate.phase.http.methods'
local clock = require 'ebbgate.worker.clock'
local live = require 'ebbgate.worker.live'

local tries = {}

local ngx = ngx
local now, find = clock.now, string.find
local set_more_tries, set_timeouts = balancer.set_more_tries, balancer.set_timeouts
--- Timers fire within a millisecond.
local GRAIN = 0.002
--- How nginx calls a try whose connection failed or broke.
local BROKEN = 502

--- Whether the try that failed came as far as these times tell: one per try, a dash where it did not. The try that begins stands
--- behind it already, as ` : `, because it has no instance yet.
function tries.reached(times)
  return times ~= nil and find(times, '%d[,:%s]*%-?$') ~= nil
end

--- Decides how many tries the request may have, and tells nginx. It starts from none: the upstream's only server is `down`. At
--- the first pick, because an answer that might have been tried elsewhere passes untouched only if nginx knows it is the last:
--- where answers are tried elsewhere, a spent budget ends it here.
function tries.begin(ctx, entry, upstream)
  local wanted = upstream and upstream.tries or 1
  -- Not more than there are instances. One that keeps its clients while it drains is one more for them.
  if upstream and upstream.reach < wanted then
    local kept = ctx.token and named(upstream, ctx.token)
    wanted = math.min(wanted, upstream.reach + (kept and not kept.eligible and 1 or 0))
  end
  if wanted > live.max_tries then wanted = live.max_tries end
  local budget, at = entry.budget, now()
  if budget then
    budget:request(at)
    if wanted > 1 and upstream.repeats_answers and not budget:allows(at) then
      wanted = 1
      live.counters:exhausted(entry.nobody)
    end
  end
  ctx.limit = wanted
  if wanted > 1 then set_more_tries(wanted) end
  if upstream and upstream.timeouts.total then ctx.deadline = at + upstream.timeouts.total end
end

--- Once the instance of the first try is known. Where nginx does not ask of itself when a kept connection breaks, it is told
--- to, if this may be one: nginx does not say which one it takes, so kept ones are counted here.
function tries.take_kept(ctx, upstream, peer)
  if peer.idle == 0 then return end
  peer.idle = peer.idle - 1
  if ctx.limit > 1 or ctx.tries > 1 or upstream.reach ~= 1 then return end
  ctx.kept = true
  set_more_tries(2)
end

--- True if the try's connection broke before a byte of an answer came.
local function broke_silently(ctx)
  local received = ngx.var.upstream_bytes_received
  return ctx.verdict == BROKEN and received ~= nil and find(received, '^0%f[%D]') ~= nil
end

--- True if nginx asks once more, beyond the limit, since the connection it had kept to the only instance broke before an answer:
--- then that instance is no wrong one (docs/adr/0012). Where nginx was told to ask it asks after any failure.
local function reconnects(ctx, upstream, sent)
  if ctx.limit > 1 or ctx.tries > 1 or upstream.reach ~= 1 then return false end
  if live.must_tell and not (ctx.kept and sent and broke_silently(ctx)) then return false end
  ctx.tried = false
  return true
end

--- True once the time for the whole request is over.
function tries.is_over(ctx)
  return ctx.deadline and now() >= ctx.deadline - GRAIN
end

--- Whether there may be another try. One that was sent is repeated if its method may be (phase/http/methods.lua), whatever nginx
--- thinks.
function tries.go_on(ctx, entry, upstream)
  if not upstream then return false end
  if tries.is_over(ctx) then return false end
  -- The next one would only say the same again.
  if blame.is_long_head(ngx.var, live.head_bytes) then return false end
  local sent = tries.reached(ngx.var.upstream_connect_time)
  if sent and not upstream.repeats_all and not methods.may_repeat() then return false end
  if ctx.tries >= ctx.limit and not reconnects(ctx, upstream, sent) then return false end
  -- A try that was never connected put no load on an instance, so the one after it is not an additional one.
  if not entry.budget or not sent or entry.budget:take(now()) then return true end
  live.counters:exhausted(entry.nobody)
  return false
end

--- Requests of this worker that are half-open and have no answer yet. Almost always 0, and looking up a request's context costs
--- more than asking this.
tries.half_open_requests = 0

--- The request is a half-open request from now on.
function tries.risk(ctx, lease)
  ctx.lease = lease
  tries.half_open_requests = tries.half_open_requests + 1
end

--- Takes the lease from the request, if it is a half-open request; else false.
local function end_half_open(ctx)
  local lease = ctx.lease
  if not lease then return false end
  ctx.lease = false
  tries.half_open_requests = tries.half_open_requests - 1
  return lease
end

--- The try ended in a way that says nothing about its instance.
function tries.abandon(ctx)
  local lease = end_half_open(ctx)
  if lease then live.abandon(lease) end
end

--- True of an answer that may last for hours.
local function is_stream(status, content_type)
  return status == 101 or content_type ~= nil
    and (find(content_type, '^text/event%-stream') or find(content_type, '^application/grpc')) ~= nil
end

--- With the head of an instance's answer: a half-open request that went well is over if it is a stream. Of all others the
--- body is waited for: it may be what the instance fails at.
function tries.answered(ctx, status)
  local member = ctx.member
  if not member or not ctx.lease or member.failures[status] then return end
  if not is_stream(status, ngx.var.upstream_http_content_type) then return end
  live.health:outcome(ctx.entry, member, status, end_half_open(ctx))
end

--- True if `member` is not to blame for a try that failed without an answer after it was connected.
local function is_excused()
  local var = ngx.var
  return tries.reached(var.upstream_connect_time) and (blame.is_upload(var) or blame.is_long_head(var, live.head_bytes))
end

--- Tells what a try at `member` came to: `status` as in live.outcome. A later try that only got what others had left of the
--- request's time, and timed out with it, says nothing about its instance.
function tries.conclude(ctx, entry, member, status)
  if status == 'error' and not ctx.fault and is_excused() then return tries.abandon(ctx) end
  if status == 'timeout' and ctx.tries > 1 and tries.is_over(ctx) then return tries.abandon(ctx) end
  return live.outcome(entry, member, status, ctx.began, ctx.took, end_half_open(ctx))
end

--- How long this try may wait.
function tries.set_waits(ctx, upstream)
  local waits = upstream.timeouts
  if not waits.try and not ctx.deadline then return set_timeouts(waits.connect, waits.send, waits.read) end
  local left = ctx.deadline and ctx.deadline - now()
  if left and left < 0.001 then left = 0.001 end
  return set_timeouts(timeouts.waits(waits, left, ngx.var.ebb_upgrade ~= ''))
end

return tries
