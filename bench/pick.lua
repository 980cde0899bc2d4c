--- The cost of one pick, by the number of peers: nanoseconds, weights equal and mixed, with and without a tried peer.
--- Run: LUA_PATH='lua/?.lua;;' luajit bench/pick.lua
local picker = require 'ebbgate.core.picker.weighted_round_robin'

local PICKS, ROUNDS = 1000000, 5

local function members(count, mixed)
  local list = {}
  for i = 1, count do list[i] = { id = 'i' .. i, share = mixed and i % 7 * 25 + 1 or 100 } end
  return list
end

--- The best of several rounds: the others were disturbed.
local function best(picks, pick)
  local least = math.huge
  for _ = 1, ROUNDS do
    local began = os.clock()
    pick(picks)
    least = math.min(least, (os.clock() - began) / picks * 1e9)
  end
  return least
end

print(('%8s %14s %14s %14s'):format('peers', 'equal weights', 'mixed weights', 'one tried'))
for _, count in ipairs({ 3, 10, 100, 1000 }) do
  local row = {}
  for _, mixed in ipairs({ false, true }) do
    local subject = picker.new(members(count, mixed), 0.5)
    row[#row + 1] = best(PICKS, function(picks)
      for _ = 1, picks do subject:pick() end
    end)
  end
  local subject, tried = picker.new(members(count, true), 0.5), { i1 = true }
  row[#row + 1] = best(PICKS / 10, function(picks)
    for _ = 1, picks do subject:pick(tried) end
  end)
  print(('%8d %11.0f ns %11.0f ns %11.0f ns'):format(count, row[1], row[2], row[3]))
end
