--- Weighted random with two choices: draws two members by their shares and keeps the first, unless it is the busier one
--- (M. Mitzenmacher, "The power of two choices in randomized load balancing", 2001; unequal members: U. Wieder, "Balanced
--- allocations with heterogenous bins", 2007). O(1).
---
--- Promises: shares follow the weights; no member that is not selected, or was tried; two choices keep the busiest close to the
--- mean, which blind chance does not. "Busy" is what this worker has open: workers do not know of each other.
---
--- Per share, not as it is: the first gives way only if it carries more than the second both now and with the request.
--- Now alone, a light peer, which is nearly always idle, would win against a heavy one that has one request; with the request
--- alone, it would win never.
local alias_sampler = require 'ebbgate.core.alias_sampler'

local picker = {}
picker.__index = picker

function picker.new(members, roll)
  return setmetatable({ draws = alias_sampler.new(members, roll), size = #members }, picker)
end

--- Chance has no position; what is open is counted on the peers.
function picker.carry(_, previous)
  if previous.park then previous:park() end
end

--- The one of two that carries less per share.
function picker.quieter(first, second)
  local mine, its = first.peer.open, second.peer.open
  if mine / first.share > its / second.share and (mine + 1) / first.share > (its + 1) / second.share then
    return second
  end
  return first
end

local quieter = picker.quieter

function picker:pick(tried)
  local draws = self.draws
  local first = draws:draw_other(tried)
  local second = first and draws:draw_other(tried, first)
  if not second then return first end
  return quieter(first, second)
end

return picker
