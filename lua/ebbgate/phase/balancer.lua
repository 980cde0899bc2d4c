--- Picks the instance of each try. Nothing here may yield, and nothing may throw once a request is counted.
local balancer = require 'ngx.balancer'
local live = require 'ebbgate.worker.live'

local phase = {}

local ngx = ngx
local log, ERR = ngx.log, ngx.ERR
local set_current_peer, set_more_tries, set_timeouts =
  balancer.set_current_peer, balancer.set_more_tries, balancer.set_timeouts
local get_last_failure = balancer.get_last_failure
--- nginx's "no live upstreams": a clean 502. Any other code here is a 500, or, with -5, a loop without end.
local BUSY = -3

--- Lets go of the try that failed, and keeps the next one off its instance.
local function give_up(ctx, entry, member)
  live.leave(member, ctx.counter)
  ctx.member = false
  -- 'next' = the instance answered with a status that is to be tried elsewhere; 'failed' = it gave no answer.
  local kind, status = get_last_failure()
  live.outcome(entry, member, kind == 'next' and status or status == 504 and 'timeout' or 'error', ctx.began)
  ctx.tried = ctx.tried or {}
  ctx.tried[member.id] = true
end

--- How many tries the request may have, and nginx told so. It starts from none: the upstream's only server is `down`. It
--- gives one more when a kept connection breaks, which `limit` keeps within what the set allows.
local function allow_tries(ctx, entry)
  local fleet = entry.fleet
  local wanted = fleet and fleet.tries or 1
  -- Not more than there are instances: a try that finds none left would turn a time-out (504) into a 502.
  if fleet and fleet.reach < wanted then wanted = fleet.reach end
  ctx.limit = wanted < live.max_tries and wanted or live.max_tries
  if ctx.limit > 1 then set_more_tries(ctx.limit) end
end

function phase.run()
  local ctx = ngx.ctx
  local entry, failed = ctx.entry, ctx.member
  if failed then give_up(ctx, entry, failed) end
  if ctx.tries == 0 then
    allow_tries(ctx, entry)
  elseif ctx.tries >= ctx.limit then
    return ngx.exit(BUSY)
  end
  local member, counter = live.enter(entry, ctx.tried)
  if not member then return ngx.exit(BUSY) end
  -- At once: from here on the log phase gives the count back, whatever happens.
  ctx.member, ctx.counter, ctx.tries = member, counter, ctx.tries + 1
  if ctx.tries > 1 then live.counters:retry(member) end
  ctx.instances = ctx.instances and ctx.instances .. ', ' .. member.id or member.id

  local fleet = entry.fleet
  set_timeouts(fleet.connect, fleet.send, fleet.read)
  local set, err = set_current_peer(member.address, member.port)
  if not set then
    log(ERR, 'ebbgate: ', member.address, ':', member.port, ' cannot be used: ', err)
    return ngx.exit(BUSY)
  end
end

return phase
