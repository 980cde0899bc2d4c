--- Counter of a fixed window: `count` in a window, which begins with the first request after the one before has ended. Up to
--- twice as many may come at the border of two windows; sliding_window.lua has no such border.
local max, ceil = math.max, math.ceil

local fixed_window = {}
fixed_window.__index = fixed_window

--- settings {count, window (seconds)}
function fixed_window.new(settings)
  return setmetatable({ count = settings.count, window = settings.window }, fixed_window)
end

--- Counts a request of `cost`: 0, it need not wait. Or nil, and the seconds until the window ends, or infinity if the cost
--- is more than a window has.
function fixed_window:take(slot, now, cost)
  local window = self.window
  if now >= slot.at + window or slot.idle_at == 0 then
    slot.at, slot.spent, slot.idle_at = now, 0, now + window
  end
  local spent = slot.spent + cost
  if spent > self.count then return nil, cost > self.count and math.huge or max(0, slot.at + window - now) end
  slot.spent = spent
  return 0
end

--- Gives back what was taken; a window in which nothing was taken has not begun.
function fixed_window.give(_, slot, cost)
  slot.spent = max(0, slot.spent - cost)
  if slot.spent == 0 then slot.idle_at = 0 end
end

--- What is left of this window, and seconds until it ends.
function fixed_window:left(slot, now)
  if now >= slot.at + self.window or slot.idle_at == 0 then return self.count, 0 end
  return max(0, self.count - slot.spent), ceil(slot.at + self.window - now)
end

return fixed_window
