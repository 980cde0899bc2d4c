--- Sliding window by two counters: `count` in the last `window` seconds, where what the window before this one counted is taken
--- to have come evenly. So it needs two numbers for a key, not the time of every request.
---
--- `before × (1 − share of this window that is over) + spent + cost ≤ count`
local max, floor, ceil = math.max, math.floor, math.ceil

local sliding_window = {}
sliding_window.__index = sliding_window

--- settings {count, window (seconds)}
function sliding_window.new(settings)
  return setmetatable({ count = settings.count, window = settings.window }, sliding_window)
end

--- Brings the slot to the window that `now` is in; a clock that was set back stays in the one it had reached. Returns the share
--- of this window that is over.
local function advance(self, slot, now)
  local window = self.window
  local at = floor(now / window) * window
  if at > slot.at or slot.idle_at == 0 then
    slot.before = slot.idle_at ~= 0 and at - slot.at < 1.5 * window and slot.spent or 0
    slot.at, slot.spent, slot.idle_at = at, 0, at + 2 * window
  end
  return max(0, now - slot.at) / window
end

--- Seconds until `cost` fits, had nobody else come: while this window's own count leaves room, the one before it fades; after
--- that this one does, in the next window.
local function wait(self, slot, over, cost)
  local room = self.count - slot.spent - cost
  if room >= 0 then return max(0, (1 - room / slot.before - over) * self.window) end
  local fades = 1 - (self.count - cost) / slot.spent
  return (1 - over + fades) * self.window
end

--- Counts a request of `cost`: 0, it need not wait. Or nil, and the seconds until it may go, or infinity if the cost is more than
--- a window has.
function sliding_window:take(slot, now, cost)
  local over = advance(self, slot, now)
  if slot.before * (1 - over) + slot.spent + cost > self.count then
    return nil, cost > self.count and math.huge or wait(self, slot, over, cost)
  end
  slot.spent = slot.spent + cost
  return 0
end

--- Gives back what was taken.
function sliding_window.give(_, slot, cost)
  slot.spent = max(0, slot.spent - cost)
end

--- What is left, and seconds until nothing of what was counted is left.
function sliding_window:left(slot, now)
  local over = advance(self, slot, now)
  local used = slot.before * (1 - over) + slot.spent
  local ends = slot.spent > 0 and 2 - over or slot.before > 0 and 1 - over or 0
  return max(0, floor(self.count - used)), ceil(ends * self.window)
end

return sliding_window
