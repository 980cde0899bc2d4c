--- Runs once per request, however it ended: gives back what it took, and counts it.
local ending = require 'ebbgate.phase.http.ending'
local filter = require 'ebbgate.phase.http.filter'
local log_text = require 'ebbgate.phase.http.log_text'
local outcome = require 'ebbgate.phase.http.outcome'
local request_clock = require 'ebbgate.phase.http.request_clock'
local clock = require 'ebbgate.worker.clock'
local live = require 'ebbgate.worker.live'
local policies = require 'ebbgate.worker.policies'

local log = {}

local ngx = ngx
local now, began, exiting = clock.now, request_clock.began, ngx.worker.exiting
--- In place of a service and its instance where no route was found.
local nobody = { id = '', service = '', version = '' }

--- Reports what the last try, at `member`, came to. Returns who cut its answer short: 'instance', 'client' or nil.
local function conclude(ctx, entry, member, status)
  -- 499: the client went away, and a problem of the gateway's own below 502 (a body that was cut, say) is not the
  -- instance's either, nor is a 1xx (docs/reference/http.md). From 502 on it gave no answer.
  if status == 499 or ctx.unwritten and status < 502 or ctx.fault == 'early' then
    outcome.abandon(ctx)
    return status == 499 and 'client' or nil
  end
  if ctx.unwritten then
    outcome.conclude(ctx, entry, member, status == 504 and 'timeout' or 'error')
    return nil
  end
  local cut_by = ending.cut_by(ctx, ngx.var)
  -- Either side ends a WebSocket as it likes.
  if status == 101 then cut_by = nil end
  if cut_by == 'client' and ctx.lease then
    outcome.abandon(ctx)
  else
    outcome.conclude(ctx, entry, member, cut_by == 'instance' and 'broken' or status)
  end
  return cut_by
end

--- What a request came to, as its policies want to know it (worker/policies.lua).
local function came_to(ctx, status, cut_by)
  if status == 499 or cut_by == 'client' then return nil end
  if cut_by == 'instance' then return 'failed' end
  if not ctx.own then return status end
  -- What the gateway answered itself: of the instances only if it asked one, and the request was not what made it fail.
  if ctx.tries == 0 or status < 502 or ctx.fault == 'early' or not ctx.fault and outcome.is_excused() then return nil end
  return 'failed'
end

function log.run()
  local ctx = ngx.ctx
  -- To a client of gRPC the gateway's own error is a 200.
  local member, entry, status = ctx.member, ctx.entry, ctx.own or ctx.answered or ngx.status
  local cut_by
  if member then
    ctx.member = false
    live.leave(member, ctx.counter)
    cut_by = conclude(ctx, entry, member, status)
  end
  if live.asks_again and member and not ctx.unwritten and not cut_by then member.peer.idle = member.peer.idle + 1 end
  filter.forget(ctx)
  if ctx.policies then policies.finish(ctx.policies, ctx, ngx.var, came_to(ctx, status, cut_by)) end
  -- A WebSocket's duration is no latency.
  local ms = status ~= 101 and (now() - (ctx.at or began())) * 1000 or nil
  live.counters:request(member or entry and entry.nobody or nobody, status, ms)
  if cut_by == 'instance' then live.counters:broken(member, status) end
  if live.access_log then
    local var = ngx.var
    log_text.clean(var)
    if ctx.instances then
      var.ebb_instances = ctx.instances
      if member then var.ebb_version = member.version end
      if cut_by then var.ebb_aborted_by = cut_by end
    end
  end
  -- The flushing timer has ended by now.
  if exiting() then live.counters:flush() end
end

return log
