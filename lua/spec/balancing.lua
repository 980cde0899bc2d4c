--- What the pickers' specs share: members with peers that last, requests that open and end, keys, a clock.
local bit = require 'bit'
local hash = require 'ebbgate.core.hash'
local peer = require 'ebbgate.core.peer'
local selection = require 'ebbgate.core.selection'

local balancing = {}

balancing.ALGORITHMS = { 'weighted_round_robin', 'random', 'least_connections', 'ewma', 'ip_hash', 'consistent_hash' }

--- A member as core/upstream.lua makes them.
function balancing.member(id, weight, eligible)
  return {
    id = id, weight = weight, share = 0, eligible = eligible ~= false and weight > 0, zone = '', backup = false,
    peer = peer.new('w', 's', id),
  }
end

--- {id = weight} → members in the order of their ids.
function balancing.members(weights)
  local list = {}
  for id, weight in pairs(weights) do list[#list + 1] = balancing.member(id, weight) end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

--- The same peers at other weights: what the next set would bring. `weights` {id = weight}; who is not in it has left.
function balancing.reweigh(members, weights)
  local list, known = {}, {}
  for _, each in ipairs(members) do known[each.id] = each.peer end
  for id, weight in pairs(weights) do
    local fresh = balancing.member(id, weight)
    fresh.peer = known[id] or fresh.peer
    list[#list + 1] = fresh
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

--- The picker `name` over those of `members` that are selected.
function balancing.picker(name, members, roll, options)
  options = options or {}
  options.algorithm = name
  return require('ebbgate.core.picker.' .. name).new(selection.choose(members), roll, options)
end

--- The key of the i-th client.
function balancing.key(i) return bit.tobit(hash.text('client ' .. i)) end

--- A request begins, as in worker/count/in_flight.lua.
function balancing.enter(member)
  local one = member.peer
  one.open = one.open + 1
  if one.watcher then one.watcher:moved(one, 1) end
  return member
end

function balancing.leave(member)
  local one = member.peer
  one.open = one.open - 1
  if one.watcher then one.watcher:moved(one, -1) end
end

--- Picks `count` times for clients of many keys, one after the other, each answered in `latency(member)` microseconds (1,000
--- by default). Returns id → picks, and the time at the end.
function balancing.count(subject, count, latency, now)
  local counts = {}
  now = now or 0
  for i = 1, count do
    local picked = subject:pick(nil, balancing.key(i), now)
    local took = latency and latency(picked) or 1000
    now = now + took
    if subject.observe then subject:observe(picked, took, false, now) end
    counts[picked.id] = (counts[picked.id] or 0) + 1
  end
  return counts, now
end

return balancing
