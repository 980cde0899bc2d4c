--- Consistent hashing with bounded load: a request goes to the member that owns its key (core/ring.lua), unless that one
--- was tried or has more than its share of what is open. O(1) for the number of members.
---
--- Promises: one key, one member, in every worker and on every gateway; one of N members that comes or goes moves the keys it
--- owns and no others; no member has more open than `max_load_percent` of its share of this worker's requests (0 = no bound;
--- less than 100 would not have room for all, so it counts as 100). A request without a key is a draw by shares.
---
--- What its owner cannot take goes to the owner of the key's next hash, and so on: to the same member every time, and
--- the keys of one dead owner to all others by their shares. Going on along the circle would overload neighbours (V. Mirrokni,
--- M. Thorup, M. Zadimoghaddam, "Consistent hashing with bounded loads", 2016, have the bound; J. Chen, B. Coleman,
--- A. Shrivastava, "Revisiting consistent hashing with bounded loads", 2021, the jumps).
local bit = require 'bit'
local hash = require 'ebbgate.core.hash'
local alias_sampler = require 'ebbgate.core.alias_sampler'
local ring = require 'ebbgate.core.ring'

local mix, tobit = hash.mix, bit.tobit

local picker = {}
picker.__index = picker

--- Owners asked by the key before all members are looked through.
local MOST_JUMPS = 16

function picker.new(members, roll, options)
  local percent = options.max_load_percent or 0
  local self = setmetatable({
    draws = alias_sampler.new(members, roll), ring = ring.new(members), size = #members, shares = 0, open = 0,
    bound = percent > 0 and math.max(percent, 100) / 100 or false,
  }, picker)
  for i = 1, #members do
    self.shares = self.shares + members[i].share
    if self.bound then
      members[i].peer.watcher, self.open = self, self.open + members[i].peer.open
    end
  end
  return self
end

--- Keys are owned, not remembered; what is open is counted on the peers.
function picker.carry(_, previous)
  if previous.park then previous:park() end
end

function picker:moved(_, by)
  self.open = self.open + by
end

--- True if one more request is within the member's share of all, this one included.
local function has_room(self, member)
  local bound = self.bound
  return not bound or member.peer.open < bound * (self.open + 1) * member.share / self.shares
end

--- From a place that the key gives, so that not all keys end at one member. O(n).
local function look_through(self, tried, key, anyhow)
  local members, size = self.ring.members, self.size
  for i = 1, size do
    local member = members[(key + i) % size + 1]
    if not tried or not tried[member.id] then
      if anyhow or has_room(self, member) then return member end
    end
  end
  return nil
end

local function go_on(self, tried, key)
  local jump = key
  for _ = 1, MOST_JUMPS do
    jump = mix(tobit(jump + 0x3779))
    local member = self.ring:owner(jump)
    if not (tried and tried[member.id]) and has_room(self, member) then return member end
  end
  return look_through(self, tried, key, false) or look_through(self, tried, key, true)
end

function picker:pick(tried, key)
  if not key then return self.draws:draw_other(tried) end
  if self.size == 0 then return nil end
  local member = self.ring:owner(tobit(key))
  if not tried and has_room(self, member) then return member end
  if tried and not tried[member.id] and has_room(self, member) then return member end
  return go_on(self, tried, key)
end

return picker
