--- Runs once per request, however it ended: gives back what it held, and counts it.
local filter = require 'ebbgate.phase.filter'
local tries = require 'ebbgate.phase.tries'
local clock = require 'ebbgate.worker.clock'
local live = require 'ebbgate.worker.live'

local log = {}

local ngx = ngx
local now, request_began, exiting = clock.now, clock.request_began, ngx.worker.exiting
--- Stands for service and instance where no route was found.
local nobody = { id = '', service = '', version = '' }

function log.run()
  local ctx = ngx.ctx
  -- To a client of gRPC the gateway's own error is a 200.
  local member, entry, status = ctx.member, ctx.entry, ctx.own or ctx.answered or ngx.status
  if member then
    ctx.member = false
    live.leave(member, ctx.counter)
    -- 499: the client went away, and a problem of the gateway's own below 502 (a body that was cut, say) is not the
    -- instance's either. From 502 on it gave no answer.
    if status == 499 or ctx.problem and status < 502 then
      tries.abandon(ctx)
    else
      tries.conclude(ctx, entry, member, ctx.problem and (status == 504 and 'timeout' or 'error') or status)
    end
  end
  filter.forget(ctx)
  -- A WebSocket's duration is no latency.
  local ms = status ~= 101 and (now() - (ctx.at or request_began())) * 1000 or nil
  live.counters:request(member or entry and entry.nobody or nobody, status, ms)
  if live.access_log and ctx.instances then
    local var = ngx.var
    var.ebb_instances = ctx.instances
    if member then var.ebb_version = member.version end
  end
  -- The flushing timer has ended by now.
  if exiting() then live.counters:flush() end
end

return log
