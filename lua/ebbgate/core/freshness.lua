--- When sets may be read from a replica: its positions are compared with those that the primary names in its answers to
--- heartbeats. Pure: `now` is in seconds of a clock that never goes back.
---
--- unproven  at first, and after the replica was left: the primary is read. Once the replica has been well for `wait` it is read.
--- read      the replica is read, until it is left: because it fails, or because it is late.
---
--- A point is {epoch, generation, sealed}. The replica is late when it lacks what the primary has had for LATE seconds.
local position = require 'ebbgate.core.position'

local freshness = {}
freshness.__index = freshness

--- How long the replica may lack what the primary has.
freshness.LATE = 2
--- How long it must be well before it is read again; twice as long each time that it was left within CALM of that.
local STEADY, LONGEST, CALM = 10, 160, 60

--- Unproven; the first time that the replica is well it is read.
function freshness.new()
  return setmetatable({ reads = false, wait = 0 }, freshness)
end

--- True if `point` (nil: nothing at all) lacks anything that `other` has.
local function lacks(point, other)
  if not other then return false end
  if not point then return true end
  if point.epoch ~= other.epoch or point.generation ~= other.generation then
    return position.newer(other.epoch, other.generation, point.epoch, point.generation)
  end
  return other.sealed and not point.sealed
end

--- The newest of the two points of which either may be nil.
local function newest(one, other) return lacks(one, other) and other or one end

--- The primary has said `point` (nil: it has no meta).
function freshness:primary_said(point, now)
  self.primary, self.primary_at = point, now
  if not lacks(self.replica, point) then
    self.owed = nil
  elseif not self.owed then
    self.owed, self.owed_since = point, now
  elseif lacks(point, self.owed) then
    self.owed = point
  end
end

--- The replica has said `point` (nil: it has no meta).
function freshness:replica_said(point)
  self.replica = point
  if self.owed and lacks(point, self.owed) then return end
  self.owed = lacks(point, self.primary) and self.primary or nil
  self.owed_since = self.primary_at
end

--- Seconds until the replica is late if it says nothing newer; nil if it lacks nothing.
function freshness:late_in(now)
  return self.reads and self.owed and self.owed_since + freshness.LATE - now or nil
end

--- The primary is read from now on. False if it was read already.
function freshness:leave(now)
  self.well_since = nil
  if not self.reads then return false end
  local brief = now - self.entered_at < CALM
  self.reads, self.wait = false, brief and self.wait > 0 and math.min(2 * self.wait, LONGEST) or STEADY
  return true
end

--- While the primary is read: the replica was asked, with this answer (nil: none, or no meta); `applied` is the gateway's own
--- position. True if the replica is read from now on.
function freshness:probed(point, applied, now)
  self:replica_said(point)
  if not point or lacks(point, newest(self.primary, applied)) then
    self.well_since = nil
    return false
  end
  self.well_since = self.well_since or now
  if now - self.well_since < self.wait then return false end
  self.reads, self.entered_at, self.owed = true, now, nil
  return true
end

return freshness
