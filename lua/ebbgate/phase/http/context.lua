--- ngx.ctx of a request: what its phases leave for one another.
local request_clock = require 'ebbgate.phase.http.request_clock'
local affinity = require 'ebbgate.phase.http.affinity'

local context = {}

local began = request_clock.began

--- One table per request, with room for all that the later phases put in: false, not nil, because LuaJIT leaves nil out of
--- the template, and the keys that every request sets would then make the table grow each time. Sixteen keys: with one more
--- every request would pay for a table of twice the size. So what only failures and refusals set is left out, and what
--- policies want to keep has one place, which is a table where there are any.
---   entry        of the service (worker/live.lua), false without a route
---   policies     those that admitted the request (worker/policies.lua), or false
---   member, counter, lease   of the instance that has it now: from live.enter, for live.leave and live.outcome
---   tries, limit, tried      tries so far, how many it may have, ids of the instances that failed
---   instances    ids of all that were picked, as a text
---   key, token   what its instance is chosen by: hash, and what its cookie says
---   at, deadline             its first byte, and the end of its time; by clock.now
---   began, took  microseconds: when the try was picked, how long the head of its answer took
---   transport    of its proxy location; false = plain HTTP
function context.new(entry)
  return {
    entry = entry, policies = false, member = false, counter = false, lease = false, tries = 0, limit = 1, tried = false,
    instances = false, key = false, token = false, at = began(), deadline = false, began = false, took = false,
    transport = false,
  }
end

--- The same for a request that goes on to an instance of `upstream`.
function context.admitted(entry, upstream, var)
  local ctx = context.new(entry)
  if not upstream.is_plain then
    ctx.policies, ctx.transport = upstream.policies, upstream.location and upstream.transport
    affinity.read(ctx, upstream, var)
  end
  return ctx
end

return context
