--- How many requests may be open at once: `burst` of them. Each worker counts its own in a slot of its own, so that what a worker
--- that dies had open goes with it; `others` is what the other living workers count.
local max = math.max

local concurrency = {}
concurrency.__index = concurrency

--- Seconds that a slot with open requests is kept: a request that is open for longer is forgotten if others need its place.
local KEPT = 86400

--- settings {burst}
function concurrency.new(settings)
  return setmetatable({ burst = settings.burst, counts_open = true }, concurrency)
end

--- Opens a request of `cost`: 0, it need not wait. Or nil, and the seconds after which it may be tried again: nobody knows when
--- one of those that are open ends.
function concurrency:take(slot, now, cost, others)
  local spent = slot.spent + cost
  if spent + others > self.burst then return nil, 1 end
  self:count(slot, now, cost)
  return 0
end

--- Opens a request whatever is open.
function concurrency.count(_, slot, now, cost)
  slot.spent, slot.idle_at = slot.spent + cost, now + KEPT
end

--- Ends a request.
function concurrency.give(_, slot, cost)
  slot.spent = max(0, slot.spent - cost)
  if slot.spent == 0 then slot.idle_at = 0 end
end

--- How many may be opened, and seconds until that may change.
function concurrency:left(slot, _, others)
  local left = max(0, self.burst - slot.spent - others)
  return left, left == 0 and 1 or 0
end

return concurrency
