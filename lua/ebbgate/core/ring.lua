--- Who owns a point of a circle of 2^32: consistent hashing (D. Karger et al., "Consistent hashing and random trees", 1997)
--- with weights that need no common scale.
---
--- Promises: the owner depends on ids and shares alone, not on history, worker or gateway. A member that comes takes keys from
--- the others and moves none among them; one that goes leaves its keys to all others by their shares. Each member has POINTS
--- to 4 × POINTS points whatever its share is: what it owns is off by a standard deviation of 6 to 12 %.
---
--- Points in proportion to weights need a scale, and the scale moves when anybody's weight does, which moves keys between
--- members that did not change. So members are in classes, a ring each: class c has the shares in [4^c / 2, 4^c × 2), and
--- its points are 4^c times as strong. A key looks for the next point on each ring, and goes to where distance / 4^c is the
--- least: a race with exponential times, as in weighted rendezvous hashing (C. Schindelhauer, G. Schomaker, "Weighted
--- distributed hash tables", 2005). Few services have more than two classes.
---
--- A ring is an array of points in order, found through a table of its equal pieces: O(1) per look-up and class.
local bit = require 'bit'
local hash = require 'ebbgate.core.hash'
local typed_array = require 'ebbgate.core.typed_array'

local bxor, rshift = bit.bxor, bit.rshift
local floor = math.floor
local int32, uint16 = typed_array.int32, typed_array.uint16
local mix = hash.mix

local ring = {}
ring.__index = ring

local POINTS = 72
local LOWEST = bit.tobit(0x80000000)

--- Mixed once: a member's points are its own hash under each of these.
local SALTS = {}
for i = 1, 4 * POINTS do SALTS[i] = mix(i * 0x9e37) end

--- The piece of the circle that `point` (signed) is in.
local function piece(point, shift)
  return rshift(bxor(point, LOWEST), shift)
end

--- How many pieces, as a power of two: one or two points in each.
local function pieces_for(count)
  local _, exponent = math.frexp(count)
  return exponent - 1
end

--- Puts the points of each piece in order; they are one or two.
local function sort_within(points, owners, count)
  for i = 1, count - 1 do
    local point, owner, at = points[i], owners[i], i
    while at > 0 and points[at - 1] > point do
      points[at], owners[at] = points[at - 1], owners[at - 1]
      at = at - 1
    end
    points[at], owners[at] = point, owner
  end
end

--- class: {exponent (of 2), list = {{index, seed, count}}, count = of all points}
local function build(class)
  local count, power = class.count, pieces_for(class.count)
  local shift, pieces = 32 - power, 2 ^ power
  local points, owners, starts = int32(count + 1), uint16(count + 1), int32(pieces + 1)
  for _, one in ipairs(class.list) do
    for i = 1, one.count do
      local at = piece(mix(bxor(one.seed, SALTS[i])), shift) + 1
      starts[at] = starts[at] + 1
    end
  end
  for i = 1, pieces do starts[i] = starts[i] + starts[i - 1] end
  -- Filled from each piece's end, so that `starts` ends as the beginnings of the pieces.
  for _, one in ipairs(class.list) do
    for i = 1, one.count do
      local point = mix(bxor(one.seed, SALTS[i]))
      local next_piece = piece(point, shift) + 1
      local at = starts[next_piece] - 1
      starts[next_piece] = at
      points[at], owners[at] = point, one.index
    end
  end
  sort_within(points, owners, count)
  -- What is behind the last point belongs to the first: no look goes further.
  points[count], owners[count] = 0x7fffffff, owners[0]
  return {
    points = points, owners = owners, starts = starts, shift = shift, count = count,
    salt = mix(class.exponent * 0x51ed + 1), strength = 2 ^ -class.exponent,
  }
end

--- members: each has `id` and `share` > 0; at most 65,535.
function ring.new(members)
  local sorted, classes, list = {}, {}, {}
  for i = 1, #members do sorted[i] = members[i] end
  table.sort(sorted, function(a, b) return a.id < b.id end)
  for i = 1, #sorted do
    local fraction, exponent = math.frexp(sorted[i].share)
    if exponent % 2 == 1 then fraction, exponent = fraction * 2, exponent - 1 end
    local class = classes[exponent]
    if not class then
      class = { exponent = exponent, list = {}, count = 0 }
      classes[exponent], list[#list + 1] = class, class
    end
    local count = floor(fraction * 2 * POINTS + 0.5)
    class.list[#class.list + 1] = { index = i, seed = hash.text(sorted[i].id), count = count }
    class.count = class.count + count
  end
  table.sort(list, function(a, b) return a.exponent > b.exponent end)
  for i = 1, #list do list[i] = build(list[i]) end
  return setmetatable({ members = sorted, rings = list }, ring)
end

--- The first point at `position` or after it. A tail call, not a loop: see weighted_round_robin.lua.
local function first_from(points, index, position)
  if points[index] >= position then return index end
  return first_from(points, index + 1, position)
end

--- The place on one ring that follows `key`, and how far it is, weaker rings being further.
local function next_on(one, key)
  local position = mix(bxor(key, one.salt))
  local points = one.points
  local index = first_from(points, one.starts[piece(position, one.shift) + 1], position)
  return index, (points[index] - position) * one.strength
end

--- The rings from `at` on against the best so far.
local function race(rings, at, key, winner, index, least)
  local one = rings[at]
  if not one then return winner.owners[index] end
  local candidate, distance = next_on(one, key)
  if distance < least then winner, index, least = one, candidate, distance end
  return race(rings, at + 1, key, winner, index, least)
end

--- The member that owns `key`, 32 bits; there must be a member.
function ring:owner(key)
  local rings = self.rings
  local first = rings[1]
  local index, distance = next_on(first, key)
  local second = rings[2]
  if not second then return self.members[first.owners[index]] end
  local candidate, other = next_on(second, key)
  if other < distance then first, index, distance = second, candidate, other end
  if not rings[3] then return self.members[first.owners[index]] end
  return self.members[race(rings, 3, key, first, index, distance)]
end

return ring
