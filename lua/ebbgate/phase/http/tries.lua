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

--- Whether the try that failed came as far as these times say: one per try, a dash where it did not. The try that begins is
--- behind it already, as ` : `, because it has no instance yet.
function tries.reached(times)
  return times ~= nil and find(times, '%d[,:%s]*%-?$') ~= nil
end

--- Decides how many tries the request may have, and sets that in nginx, which starts from none: its only server is `down`. At
--- the first pick, because an answer that might have been tried elsewhere passes untouched only if nginx knows it is the last:
--- where answers are tried elsewhere, a spent budget ends it here.
function tries.begin(ctx, entry, upstream)
  local actions = ctx.actions
  local wanted = upstream and (actions and actions.tries or upstream.tries) or 1
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
  local total = upstream and (ctx.waits or upstream.timeouts).total
  if total then ctx.deadline = at + total end
end

--- Once the instance of the first try is known. Where nginx does not ask again of itself when a kept connection breaks, it is
--- set to, if this may be one: nginx does not say which one it takes, so kept ones are counted here.
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
--- then that instance is no wrong one (docs/adr/0012). Where nginx was set to ask again, it asks after any failure.
local function reconnects(ctx, upstream, sent)
  if ctx.limit > 1 or ctx.tries > 1 or upstream.reach ~= 1 then return false end
  if live.asks_again and not (ctx.kept and sent and broke_silently(ctx)) then return false end
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

--- How long this try may wait.
function tries.set_waits(ctx, upstream)
  -- A route may have its own (phase/http/act.lua).
  local waits = ctx.waits or upstream.timeouts
  if not waits.try and not ctx.deadline then return set_timeouts(waits.connect, waits.send, waits.read) end
  local left = ctx.deadline and ctx.deadline - now()
  if left and left < 0.001 then left = 0.001 end
  return set_timeouts(timeouts.waits(waits, left, ngx.var.ebb_upgrade ~= ''))
end

return tries
