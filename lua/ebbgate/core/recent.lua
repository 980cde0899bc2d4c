--- What was added to cumulative counters of late, by looks at them now and then.
local recent = {}
recent.__index = recent

--- Seconds that are looked back at least, once so long was looked, and between two looks that are kept.
local SPAN, STEP = 60, 5

function recent.new() return setmetatable({ looks = {} }, recent) end

--- What `now` has more than `before`, both group → name → result → total. What `before` lacks began at 0; what has less began
--- anew.
local function difference(now, before)
  local gained = {}
  for group, names in pairs(now) do
    gained[group] = {}
    for name, totals in pairs(names) do
      local was = before[group] and before[group][name] or {}
      local more = {}
      for result, total in pairs(totals) do
        local base = was[result] or 0
        more[result] = total >= base and total - base or total
      end
      gained[group][name] = more
    end
  end
  return gained
end

--- Looks at the totals; `at` in seconds of a clock that never goes back. What was added since the oldest look that is kept, and
--- how many seconds ago that was.
function recent:gained(at, totals)
  local looks = self.looks
  while looks[2] and at - looks[2].at >= SPAN do table.remove(looks, 1) end
  local last = looks[#looks]
  if not last or at - last.at >= STEP then looks[#looks + 1] = { at = at, totals = totals } end
  local oldest = looks[1]
  return difference(totals, oldest.totals), at - oldest.at
end

return recent
