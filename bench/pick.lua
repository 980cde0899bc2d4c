--- The cost of one pick, by algorithm and number of peers, in nanoseconds; and what it costs to build a picker.
--- Run: LUA_PATH='lua/?.lua;;' luajit bench/pick.lua [algorithm …]
local hash = require 'ebbgate.core.hash'
local peer = require 'ebbgate.core.peer'

local PICKS, ROUNDS, OPEN, KEYS = 1000000, 5, 2048, 65536
local ROWS = {
  { 'weighted_round_robin' }, { 'random' }, { 'least_connections' }, { 'ewma' }, { 'ip_hash' },
  { 'consistent_hash', 'consistent_hash, no bound', { max_load_percent = 0 } },
  { 'consistent_hash', 'consistent_hash, bound of 125 %', { max_load_percent = 125 } },
}

local keys = {}
for i = 0, KEYS - 1 do keys[i] = hash.mix(i + 1) end

local function members(count, mixed)
  local list = {}
  for i = 1, count do
    local id = ('10.0.%d.%d:8080'):format(i / 250, i % 250)
    list[i] = { id = id, share = mixed and i % 7 * 25 + 1 or 100, peer = peer.new('w', 's', id) }
  end
  return list
end

local function build(row, list)
  return require('ebbgate.core.picker.' .. row[1]).new(list, 0.5, row[3] or {})
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

local function idle(subject, tried)
  return function(picks)
    for i = 1, picks do subject:pick(tried, keys[i % KEYS], i) end
  end
end

--- With many requests open, and what it costs to report each one's beginning and end to the picker.
local function busy(subject)
  local open = {}
  local function move(member, by)
    local one = member.peer
    one.open = one.open + by
    if one.watcher then one.watcher:moved(one, by) end
  end
  for i = 0, OPEN - 1 do
    open[i] = subject:pick(nil, keys[i], 0)
    move(open[i], 1)
  end
  return function(picks)
    for i = 1, picks do
      local slot = i % OPEN
      move(open[slot], -1)
      open[slot] = subject:pick(nil, keys[i % KEYS], i)
      move(open[slot], 1)
    end
  end
end

--- Milliseconds (best of several) and KiB of a picker for 1,000 peers of weight 100.
local function building(row)
  local list, least, size = members(1000, false), math.huge, 0
  build(row, list)
  for _ = 1, ROUNDS do
    for _, member in ipairs(list) do member.peer.watcher = false end
    collectgarbage()
    collectgarbage()
    local before, began = collectgarbage('count'), os.clock()
    local built = build(row, list)
    least = math.min(least, (os.clock() - began) * 1e3)
    collectgarbage()
    collectgarbage()
    size = collectgarbage('count') - before
    assert(built.size == 1000)
  end
  return least, size
end

local wanted = {}
for _, name in ipairs({ ... }) do wanted[name] = true end
print('algorithm\t3\t10\t100\t1000\t1000 equal\t1000 busy\t1000 one tried\tbuild ms\tKiB')
for _, row in ipairs(ROWS) do
  if next(wanted) == nil or wanted[row[1]] then
    local cells = { row[2] or row[1] }
    local function add(format, number) cells[#cells + 1] = format:format(number) end
    for _, count in ipairs({ 3, 10, 100, 1000 }) do add('%.0f', best(PICKS, idle(build(row, members(count, true))))) end
    add('%.0f', best(PICKS, idle(build(row, members(1000, false)))))
    add('%.0f', best(PICKS, busy(build(row, members(1000, true)))))
    local list = members(1000, true)
    add('%.0f', best(PICKS / 10, idle(build(row, list), { [list[1].id] = true })))
    local took, size = building(row)
    add('%.2f', took)
    add('%.0f', size)
    print(table.concat(cells, '\t'))
  end
end
