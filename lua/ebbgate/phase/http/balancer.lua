--- Picks the instance of each try. Nothing here may yield, and nothing may throw once a request is counted.
local balancer = require 'ngx.balancer'
local outcome = require 'ebbgate.phase.http.outcome'
local tries = require 'ebbgate.phase.http.tries'
local live = require 'ebbgate.worker.live'
local microseconds = require('ebbgate.worker.clock').microseconds

local phase = {}

local ngx = ngx
local log, ERR = ngx.log, ngx.ERR
local set_current_peer, get_last_failure = balancer.set_current_peer, balancer.get_last_failure
--- nginx's "no live upstreams": a clean 502. Any other code here is a 500, or, with -5, a loop without end.
local BUSY = -3
--- What the client gets instead if no instance was asked (phase/http/filter.lua).
local NO_INSTANCE = 503

--- Ends the try that failed, and keeps the next one off its instance. If there is none, the client hears of this one.
local function give_up(ctx, entry, member)
  live.leave(member, ctx.counter)
  ctx.member = false
  local _, status = get_last_failure()
  ctx.verdict, ctx.answer = status, tries.reached(ngx.var.upstream_header_time)
  outcome.conclude(ctx, entry, member, ctx.answer and status or status == 504 and 'timeout' or 'error')
  ctx.tried = ctx.tried or {}
  ctx.tried[member.id] = true
end

--- Ends the request here: the instance was not asked, and is not to blame.
local function refuse(ctx, member)
  ctx.member = false
  live.leave(member, ctx.counter)
  outcome.abandon(ctx)
  return ngx.exit(BUSY)
end

function phase.run()
  local ctx = ngx.ctx
  local entry, failed = ctx.entry, ctx.member
  if failed then give_up(ctx, entry, failed) end
  if ctx.tries == 0 then
    tries.begin(ctx, entry, entry.upstream)
  elseif not tries.go_on(ctx, entry, entry.upstream) then
    return ngx.exit(BUSY)
  end
  -- The averages want to know how long it took, and so do those who look for slow instances.
  local began = entry.upstream and entry.upstream.timed and microseconds() or false
  local member, counter, lease = live.enter(entry, ctx.tried, ctx.key, began, ctx.token, ctx.limit)
  if not member then
    -- Nobody was asked: another request is the half-open request of the only instance left, or the set has moved since the
    -- access phase.
    if ctx.tries == 0 then ctx.verdict, ctx.full = NO_INSTANCE, counter or nil end
    return ngx.exit(BUSY)
  end
  -- At once: from here on the log phase gives the count back, whatever happens.
  ctx.member, ctx.counter, ctx.tries, ctx.began = member, counter, ctx.tries + 1, began
  if lease then outcome.risk(ctx, lease) end
  if ctx.tries > 1 then
    live.counters:retry(member)
    ctx.verdict = false
  end
  ctx.instances = ctx.instances and ctx.instances .. ', ' .. member.id or member.id

  local upstream = entry.upstream
  -- The set may have moved to another protocol since this location was chosen.
  if upstream.transport ~= (ctx.transport or 'http') then return refuse(ctx, member) end
  if live.asks_again then tries.take_kept(ctx, upstream, member.peer) end
  tries.set_waits(ctx, upstream)
  local set, err = set_current_peer(member.address, member.port)
  if not set then
    log(ERR, 'ebbgate: ', member.address, ':', member.port, ' cannot be used: ', err)
    return refuse(ctx, member)
  end
end

return phase
