--- How many requests of one thing are open, counted over all workers, so that no more than may be are. Each worker writes its own
--- number into a slot of its own (worker/limit/memory.lua): what a worker that dies had open goes with it.
local siphash = require 'ebbgate.core.limit.siphash'
local clock = require 'ebbgate.worker.clock'

local open_counts = {}
open_counts.__index = open_counts

--- Seconds that a slot with open requests is kept: a request that is open for longer is forgotten if others need its place.
local KEPT = 86400

--- Of the thing that `name` names.
function open_counts.new(memory, name)
  local secret = memory.header.secret
  local high, low = siphash(name, secret[0], secret[1])
  return setmetatable({ memory = memory, high = high, low = low, highs = {}, lows = {} }, open_counts)
end

--- Where the worker `number` counts, as a hash.
local function place_of(self, number)
  local high = self.highs[number]
  if not high then
    high, self.lows[number] = siphash('', self.high + number, self.low)
    self.highs[number] = high
  end
  return high, self.lows[number]
end

--- What the other living workers have open. Under the lock.
function open_counts:elsewhere()
  local memory = self.memory
  local header, slots, own, open, now = memory.header, memory.slots, memory.number, 0, clock.now()
  for i = 0, header.named - 1 do
    local worker = header.workers[i]
    if worker.pid ~= 0 and worker.number ~= own then
      local slot = slots:seek(place_of(self, worker.number))
      if slot and slot.idle_at > now then open = open + slot.spent end
    end
  end
  return open
end

--- Writes what this worker has open. Under the lock.
function open_counts:write(open)
  local high, low = place_of(self, self.memory.number)
  local slot = self.memory.slots:find(high, low, clock.now())
  slot.spent, slot.idle_at = open, open > 0 and clock.now() + KEPT or 0
end

--- Writes what this worker has open.
function open_counts:note(open)
  local memory = self.memory
  memory:lock()
  self:write(open)
  memory:unlock()
end

--- Opens one more beside the `open` ones of this worker, if no more than `most` are then open: whether it did.
function open_counts:open(open, most)
  local memory = self.memory
  memory:lock()
  local fits = open + self:elsewhere() < most
  if fits then self:write(open + 1) end
  memory:unlock()
  return fits
end

return open_counts
