--- Draws members at random by their shares, in O(1): the alias method (A. J. Walker, 1977; M. D. Vose, "A linear algorithm
--- for generating random numbers with a given distribution", 1991). Its memory depends on the number of members alone.
---
--- The numbers come from xorshift (G. Marsaglia, "Xorshift RNGs", 2003), begun by `roll`: no two workers draw alike.
local bit = require 'bit'
local hash = require 'ebbgate.core.hash'

local bxor, lshift, rshift, tobit = bit.bxor, bit.lshift, bit.rshift, bit.tobit
local floor = math.floor

local alias_sampler = {}
alias_sampler.__index = alias_sampler

--- Draws that may meet a member that was tried before all are looked through.
local MOST_DRAWS = 8

--- Fills the columns: column i is drawn as often as any other, and gives i with `chance[i]`, else `other[i]`.
local function fill(members, chance, other)
  local size, sum = #members, 0
  for i = 1, size do sum = sum + members[i].share end
  local small, large = {}, {}
  for i = 1, size do
    chance[i], other[i] = members[i].share * size / sum, i
    local list = chance[i] < 1 and small or large
    list[#list + 1] = i
  end
  while #small > 0 and #large > 0 do
    local poor, rich = table.remove(small), large[#large]
    other[poor] = rich
    chance[rich] = chance[rich] - (1 - chance[poor])
    if chance[rich] < 1 then
      large[#large] = nil
      small[#small + 1] = rich
    end
  end
  -- What is left missed 1 by rounding alone.
  for _, i in ipairs(small) do chance[i] = 1 end
end

--- `members` as every picker gets them, `roll` in [0, 1).
function alias_sampler.new(members, roll)
  local chance, other, seed = {}, {}, hash.mix(tobit(floor(roll * 4294967296)) + 1)
  fill(members, chance, other)
  return setmetatable({
    members = members, size = #members, chance = chance, other = other, seed = seed ~= 0 and seed or 1,
  }, alias_sampler)
end

--- A number in [0, 1).
function alias_sampler:roll()
  local x = self.seed
  x = bxor(x, lshift(x, 13))
  x = bxor(x, rshift(x, 17))
  x = bxor(x, lshift(x, 5))
  self.seed = x
  return x / 4294967296 + 0.5
end

--- A member; there must be one.
function alias_sampler:draw()
  local at = self:roll() * self.size
  local column = floor(at)
  local index = column + 1
  if at - column >= self.chance[index] then index = self.other[index] end
  return self.members[index]
end

--- Whether `member` may be drawn; `tried` may be nil.
local function may(member, tried, except)
  return member ~= except and not (tried and tried[member.id])
end

--- By shares among all but those of `tried` and `except`; nil if there is none. O(n).
local function look_through(self, tried, except)
  local members, sum = self.members, 0
  for i = 1, self.size do
    if may(members[i], tried, except) then sum = sum + members[i].share end
  end
  local left, last = self:roll() * sum, nil
  for i = 1, self.size do
    local member = members[i]
    if may(member, tried, except) then
      last, left = member, left - member.share
      if left < 0 then return member end
    end
  end
  return last
end

--- A member that is not in `tried` (ids, or nil) and not `except` (a member, or nil), or nil if there is none. O(1), unless the
--- members that are left have next to nothing of the shares.
function alias_sampler:draw_other(tried, except)
  if self.size == 0 or (except and self.size == 1) then return nil end
  for _ = 1, MOST_DRAWS do
    local member = self:draw()
    if may(member, tried, except) then return member end
  end
  return look_through(self, tried, except)
end

return alias_sampler
