--- Weighted least connections: to where the fewest requests are open for the weight. O(log n) per pick, enter and leave.
---
--- Promises: a peer is picked only if no other would carry less with the request than this one carries without it:
--- open / share < (open + 1) / share of every other. With equal weights that is the least open count. Among those who
--- qualify it goes round by weight (smooth weighted round robin), so with little open the shares are the weights;
--- taking the least (open + 1) / share alone would give a light peer nothing until the others are full, and the least
--- open / share alone would always keep one request on it, however light it is. (The rule is the one of eligible virtual
--- start times in J. Bennett, H. Zhang, "WF2Q: worst-case fair weighted fair queueing", 1996, with open requests for time.)
--- "Open" is this worker's count: workers do not know of each other.
---
--- The least (open + 1) / share is at the root of a tournament tree: node k is the less of 2k and 2k + 1, and the
--- members are its leaves. Each peer calls its tree when its count changes (`peer.watcher`, core/peer.lua).
local bit = require 'bit'
local random = require 'ebbgate.core.picker.random'
local round_robin = require 'ebbgate.core.picker.weighted_round_robin'

local bxor, rshift = bit.bxor, bit.rshift

local picker = {}
picker.__index = picker

--- Turns that may fall on a peer with too much, before the least of all is taken.
local TURNS = 2

--- Sets a node and those above it that this changes. A tail call, not a loop: see weighted_round_robin.lua.
local function climb(load, node, value)
  load[node] = value
  if node == 1 then return end
  local other, parent = load[bxor(node, 1)], rshift(node, 1)
  local least = other < value and other or value
  if load[parent] == least then return end
  return climb(load, parent, least)
end

--- The leaf that has what `node` has.
local function descend(load, node, leaves)
  if node >= leaves then return node end
  local child = node * 2
  if load[child + 1] < load[child] then child = child + 1 end
  return descend(load, child, leaves)
end

function picker.new(members, roll)
  local size, load, at = #members, {}, {}
  local self = setmetatable({ turns = round_robin.new(members, roll), size = size, load = load, at = at }, picker)
  for node = 1, 2 * size - 1 do load[node] = 0 end
  local first = math.floor(roll * size)
  for i = 1, size do
    -- Begun anywhere, so that ties do not fall on the same peer in every worker.
    local member, node = members[i], size + (i + first) % size
    at[node], load[node] = member, (member.peer.open + 1) / member.share
    member.peer.watcher, member.peer.slot = self, node
  end
  for node = size - 1, 1, -1 do load[node] = math.min(load[node * 2], load[node * 2 + 1]) end
  return self
end

--- What is open is counted on the peers; the turns go on where they were.
function picker:carry(previous)
  self.turns:carry(previous)
end

function picker:park() self.turns:park() end

--- A peer's count moved.
function picker:moved(peer)
  local node = peer.slot
  return climb(self.load, node, (peer.open + 1) / self.at[node].share)
end

--- Retries go round by themselves; one whose turn falls on a busy peer looks at one more.
local function pick_untried(self, tried)
  local first = self.turns:pick(tried)
  if not first or first.peer.open / first.share < self.load[1] then return first end
  return random.quieter(first, self.turns:pick(tried))
end

function picker:pick(tried)
  if tried then return pick_untried(self, tried) end
  if self.size == 0 then return nil end
  local least = self.load[1]
  for _ = 1, TURNS do
    local member = self.turns:pick()
    if member.peer.open / member.share < least then return member end
  end
  return self.at[descend(self.load, 1, self.size)]
end

return picker
