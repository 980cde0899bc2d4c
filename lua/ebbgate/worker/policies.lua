--- Policies: what a service asks of a request before an instance is picked for it, such as a limit of requests. The set of a
--- service says which it has; they are made with its upstream, so a request of a service without policies never looks here.
---
--- A kind of policy is a table {new}: `new(document, entry, parts)` gives the policy of that set, or nil if the set wants none.
--- What it must keep over sets it keeps on `entry`, or in shared memory. `parts` {memory (worker/limit/memory.lua), counters,
--- exchange (worker/limit/exchange.lua), health (worker/health/health.lua)}.
--- A policy has
---   admit(self, request)    nil, nil and the seconds that the request has to wait, or nil; or the code of a refusal
---                           (core/problem_json.lua), and what the answer says of it, if anything. `request` gives the protocol's
---                           variables by name. Must not yield. A fourth value: the request is in the policy's queue, and
---                           `attend` must follow
---   attend(self, turn, is_gone)   where `admit` gave such a `turn`: nil, or the code of a refusal and what the answer says of
---                           it. May yield. `is_gone()`: whether the client has left
---   finish(self, context, request, came_to)   optional: once for each request that it admitted, when that has ended.
---                           `came_to`: the status that an instance answered with; 'failed' if none did, with all its tries;
---                           nil if nobody knows, because the client left, or the gateway refused it
local concurrency = require 'ebbgate.worker.concurrency'
local limits = require 'ebbgate.worker.limit.limits'
local service_breaker = require 'ebbgate.worker.service_breaker'

local policies = {}

--- In the order in which they are asked.
local KINDS = { service_breaker, limits, concurrency }

--- The policies of a set, as a list; false if it has none. `kinds`: others than those of this gateway.
function policies.of(document, entry, parts, kinds)
  local list = false
  for _, kind in ipairs(kinds or KINDS) do
    local policy = kind.new(document, entry, parts)
    if policy then
      list = list or {}
      list[#list + 1] = policy
    end
  end
  return list
end

local function finish(list, count, context, request, came_to)
  for i = 1, count do
    if list[i].finish then list[i]:finish(context, request, came_to) end
  end
end

--- The first refusal and what it says; those before it are done with the request then. Or nil, nil and the seconds that the
--- request has to wait, nil if it need not; then its turn in the queue of the last policy, for `attend`, if it is in one. No
--- other policy has a queue, because those after it would have to be asked when it is over.
function policies.refusal(list, request)
  local longest, turn = nil, nil
  for i = 1, #list do
    local code, about, wait
    code, about, wait, turn = list[i]:admit(request)
    if code then
      finish(list, i - 1, nil, request)
      return code, about
    end
    if wait and (not longest or wait > longest) then longest = wait end
  end
  return nil, nil, longest, turn
end

--- Waits for the turn of a request: nil, or the code of the refusal and what it says; the policies are done with it then.
--- Yields.
function policies.attend(list, turn, request, is_gone)
  local code, about = list[#list]:attend(turn, is_gone)
  if code then finish(list, #list - 1, nil, request) end
  return code, about
end

--- Once a request that all of them admitted has ended. `context`: what the protocol kept of it; nil of one that a later policy
--- refused.
function policies.finish(list, context, request, came_to) finish(list, #list, context, request, came_to) end

return policies
