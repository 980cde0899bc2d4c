--- Smooth weighted round robin, as a heap of deadlines (earliest deadline first): O(log n) per pick.
---
--- Promises: in every cycle (as many picks as the weights' sum) each peer gets its weight, give or take one pick; a peer
--- that is not eligible is never picked; no peer of `tried` is picked. Small weights are spread over the cycle.
---
--- Time here is virtual: a peer of weight w is due w times per unit, at (k + phase) / w for k = 0, 1, 2 … The phases
--- are a golden-ratio sequence over the peers sorted by weight, so that many light peers do not fall due at one moment.
---
--- core/upstream.lua says what every picker is.
local floor = math.floor

local picker = {}
picker.__index = picker

local GOLDEN = (5 ^ 0.5 - 1) / 2

--- Moves `member`, due at `moving`, down from the hole at `index` to where the heap wants it.
---
--- A tail call, not a loop: with few peers a loop ends in its first round, LuaJIT finds nothing to compile in it, and
--- gives up on whatever calls it: the whole balancer phase stayed interpreted (seen with jit.v).
local function settle(due, members, index, size, moving, member)
  local child = index * 2
  if child < size and due[child + 1] < due[child] then child = child + 1 end
  if child > size or due[child] >= moving then
    due[index], members[index] = moving, member
    return
  end
  due[index], members[index] = due[child], members[child]
  return settle(due, members, child, size, moving, member)
end

local function sift_down(due, members, index, size)
  return settle(due, members, index, size, due[index], members[index])
end

local function heapify(due, members)
  local size = #members
  for index = floor(size / 2), 1, -1 do sift_down(due, members, index, size) end
end

function picker.new(members, roll)
  local chosen = {}
  for i = 1, #members do chosen[i] = members[i] end
  table.sort(chosen, function(a, b)
    if a.share ~= b.share then return a.share > b.share end
    return a.id < b.id
  end)
  local due = {}
  for i = 1, #chosen do
    local weight, phase = chosen[i].share, (i * GOLDEN) % 1
    due[i] = (math.ceil(roll * weight - phase) + phase) / weight
  end
  heapify(due, chosen)
  return setmetatable({ due = due, members = chosen, size = #chosen, now = roll }, picker)
end

--- Notes on the peers how much of their next turn they have still to wait.
function picker:park()
  for i = 1, self.size do
    local member = self.members[i]
    member.peer.turn = (self.due[i] - self.now) * member.share
  end
end

--- Goes on where the last of its kind was, other algorithms in between or not: who had waited for half of its next turn
--- still has, whatever its weight is now. Peers that were not there keep the place that `new` gave them.
function picker:carry(previous)
  if previous.park then previous:park() end
  for i = 1, self.size do
    local member = self.members[i]
    local turn = member.peer.turn
    if turn then
      self.due[i], member.peer.turn = self.now + turn / member.share, false
    end
  end
  heapify(self.due, self.members)
end

--- Gives the member at the root its next turn.
local function take_root(self)
  local due, members = self.due, self.members
  local member = members[1]
  self.now = due[1]
  due[1] = due[1] + 1 / member.share
  sift_down(due, members, 1, self.size)
  return member
end

--- Adds an entry at the end and moves it up to where the heap wants it.
local function push(self, when, member)
  local due, members, index = self.due, self.members, self.size + 1
  self.size = index
  while index > 1 do
    local parent = floor(index / 2)
    if due[parent] <= when then break end
    due[index], members[index] = due[parent], members[parent]
    index = parent
  end
  due[index], members[index] = when, member
end

--- Sets the roots that were tried aside until an untried one is there, takes it, and puts the others back. They lose their
--- turn; else one that is broken for long would be owed a flood.
local function pick_untried(self, tried)
  local due, members, aside = self.due, self.members, nil
  while self.size > 0 and tried[members[1].id] do
    local size = self.size
    aside = { due = due[1], member = members[1], next = aside }
    due[1], members[1] = due[size], members[size]
    due[size], members[size] = nil, nil
    self.size = size - 1
    if size > 1 then sift_down(due, members, 1, size - 1) end
  end
  local picked = self.size > 0 and take_root(self) or nil
  while aside do
    push(self, math.max(aside.due, self.now), aside.member)
    aside = aside.next
  end
  return picked
end

--- The next member, or nil if there is none. `tried`, if given, is a set of ids: this is a retry.
---
--- Retries go round by themselves. Charged to the first tries they would shift those towards the very peer that fails
--- (of two equal peers every first try would go to the broken one), and uncharged they would all fall on one neighbour.
function picker:pick(tried)
  if tried then
    self.retries = self.retries or picker.new(self.members, self.now % 1)
    return pick_untried(self.retries, tried)
  end
  if self.size == 0 then return nil end
  return take_root(self)
end

return picker
