--- Checks what the next change of a set will need, while nothing happens: the disk, and the room in shared memory.
local self_check = {}
self_check.__index = self_check

--- Seconds between two looks.
local EVERY = 5

--- parts {dicts, disk, problems}
function self_check.new(parts)
  parts.at = -math.huge
  return setmetatable(parts, self_check)
end

--- The dictionaries without a free page, as a sentence; nil if there are none.
local function full_dicts(dicts)
  local names = {}
  for name, dict in pairs(dicts) do
    if dict:free_space() == 0 then names[#names + 1] = 'ebb_' .. name end
  end
  table.sort(names)
  return names[1] and table.concat(names, ', ') .. ' has no free page left: raise its size'
end

--- The room in shared memory alone.
function self_check:memory()
  local full = full_dicts(self.dicts)
  if full then self.problems:keep('memory', full) else self.problems:settle('memory') end
end

--- Called ten times a second by the worker that owns the lock. It is the next pass of catch_up.lua that finds the disk
--- writable again, because sets may wait for it.
function self_check:tick(now)
  if now - self.at < EVERY then return end
  self.at = now
  self:memory()
  local writable, err = self.disk:try()
  if not writable then self.problems:raise('disk', err) end
end

return self_check
