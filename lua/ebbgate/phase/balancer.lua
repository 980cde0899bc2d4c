--- Picks the instance of each try. Nothing here may yield, and nothing may throw once a request is counted.
local balancer = require 'ngx.balancer'
local patience = require 'ebbgate.core.patience'
local live = require 'ebbgate.worker.live'

local phase = {}

local ngx = ngx
local log, ERR, now = ngx.log, ngx.ERR, ngx.now
local find = string.find
local set_current_peer, set_more_tries, set_timeouts =
  balancer.set_current_peer, balancer.set_more_tries, balancer.set_timeouts
local get_last_failure = balancer.get_last_failure
--- nginx's "no live upstreams": a clean 502. Any other code here is a 500, or, with -5, a loop without end.
local BUSY = -3

--- Timers fire within a millisecond.
local GRAIN = 0.002

--- Whether the try that failed came as far as these times tell: one per try, a dash where it did not. The try that begins stands
--- behind it already, as ` : `, because it has no instance yet.
local function reached(times)
  return times ~= nil and find(times, '%d[,:%s]*%-?$') ~= nil
end

--- Lets go of the try that failed, and keeps the next one off its instance. If there is none, the client is told of this one.
local function give_up(ctx, entry, member)
  live.leave(member, ctx.counter)
  ctx.member = false
  local _, status = get_last_failure()
  ctx.verdict, ctx.answer = status, reached(ngx.var.upstream_header_time)
  live.outcome(entry, member, ctx.answer and status or status == 504 and 'timeout' or 'error', ctx.began)
  ctx.tried = ctx.tried or {}
  ctx.tried[member.id] = true
end

--- Decides how many tries the request may have, and tells nginx. It starts from none: the upstream's only server is `down`. At
--- the first pick, because an answer that might have been tried elsewhere passes untouched only if nginx knows it is the last:
--- where answers are tried elsewhere, a spent budget ends it here.
local function begin(ctx, entry, fleet)
  local wanted = fleet and fleet.tries or 1
  -- Not more than there are instances.
  if fleet and fleet.picker.size < wanted then wanted = fleet.picker.size end
  if wanted > live.max_tries then wanted = live.max_tries end
  local budget = entry.budget
  if budget then
    local at = now()
    budget:request(at)
    if wanted > 1 and fleet.repeats_answers and not budget:allows(at) then
      wanted = 1
      live.counters:exhausted(entry.nobody)
    end
  end
  ctx.limit = wanted
  if wanted > 1 then set_more_tries(wanted) end
  if fleet and fleet.patience.total then ctx.deadline = now() + fleet.patience.total end
end

--- True if nginx asks once more, beyond the limit, since the connection it had kept to the only instance broke before an answer:
--- then that instance is no wrong one (docs/adr/0012).
local function reconnects(ctx, fleet)
  if ctx.limit > 1 or ctx.tries > 1 or fleet.picker.size ~= 1 then return false end
  ctx.tried = false
  return true
end

--- Whether there may be another try.
local function goes_on(ctx, entry, fleet)
  if not fleet then return false end
  if ctx.deadline and now() >= ctx.deadline - GRAIN then return false end
  if ctx.tries >= ctx.limit and not reconnects(ctx, fleet) then return false end
  -- A try that was never connected put no load on an instance, so the one after it is not an additional one.
  if not entry.budget or not reached(ngx.var.upstream_connect_time) or entry.budget:take(now()) then return true end
  live.counters:exhausted(entry.nobody)
  return false
end

--- How long this try may wait.
local function set_waits(ctx, fleet)
  local waits = fleet.patience
  if not waits.try and not ctx.deadline then return set_timeouts(waits.connect, waits.send, waits.read) end
  local left = ctx.deadline and ctx.deadline - now()
  if left and left < 0.001 then left = 0.001 end
  return set_timeouts(patience.waits(waits, left, ngx.var.ebb_upgrade ~= ''))
end

function phase.run()
  local ctx = ngx.ctx
  local entry, failed = ctx.entry, ctx.member
  if failed then give_up(ctx, entry, failed) end
  if ctx.tries == 0 then
    begin(ctx, entry, entry.fleet)
  elseif not goes_on(ctx, entry, entry.fleet) then
    return ngx.exit(BUSY)
  end
  local member, counter = live.enter(entry, ctx.tried)
  if not member then return ngx.exit(BUSY) end
  -- At once: from here on the log phase gives the count back, whatever happens.
  ctx.member, ctx.counter, ctx.tries = member, counter, ctx.tries + 1
  if ctx.tries > 1 then
    live.counters:retry(member)
    ctx.verdict = false
  end
  ctx.instances = ctx.instances and ctx.instances .. ', ' .. member.id or member.id

  local fleet = entry.fleet
  -- The set may have moved to another protocol since this location was chosen.
  if fleet.transport ~= (ctx.transport or 'http') then return ngx.exit(BUSY) end
  set_waits(ctx, fleet)
  local set, err = set_current_peer(member.address, member.port)
  if not set then
    log(ERR, 'ebbgate: ', member.address, ':', member.port, ' cannot be used: ', err)
    return ngx.exit(BUSY)
  end
end

return phase
