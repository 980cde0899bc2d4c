--- How many retries a service may cost: a share of its requests over ten seconds, and a few whatever the share, so that a
--- service with little traffic may retry at all. When everything fails, retries would multiply the load on what is left.
---
--- `retries in the last ten seconds <= max(percent of the requests in them, min_per_s × 10)`, counted in whole seconds. A retry
--- counts at least as long as the request that paid for it, so no request pays twice.
local floor, max = math.floor, math.max

local budget = {}
budget.__index = budget

local SPAN = 10

--- `previous` may be nil; what it has counted goes on. False if there is to be none: `percent` is 100 or more.
function budget.new(percent, min_per_s, previous)
  if percent >= 100 then return false end
  local self = previous
  if not self then
    self = setmetatable({ second = 0, requests = 0, retries = 0, asked = {}, taken = {} }, budget)
    for slot = 0, SPAN - 1 do self.asked[slot], self.taken[slot] = 0, 0 end
  end
  -- At least one, or it would vanish where many workers share it.
  self.share, self.floor = percent / 100, min_per_s > 0 and max(1, min_per_s * SPAN) or 0
  return self
end

--- Forgets the seconds that lie ten back. A clock that was set back counts on in the second it had reached.
local function advance(self, second)
  local gone = second - self.second
  if gone <= 0 then return end
  for step = 1, gone < SPAN and gone or SPAN do
    local slot = (self.second + step) % SPAN
    self.requests, self.retries = self.requests - self.asked[slot], self.retries - self.taken[slot]
    self.asked[slot], self.taken[slot] = 0, 0
  end
  self.second = second
end

--- Counts a request. `now` in seconds.
function budget:request(now)
  local second = floor(now)
  if second ~= self.second then advance(self, second) end
  local slot = self.second % SPAN
  self.asked[slot], self.requests = self.asked[slot] + 1, self.requests + 1
end

--- Whether a retry would be allowed.
function budget:allows(now)
  local second = floor(now)
  if second ~= self.second then advance(self, second) end
  return self.retries + 1 <= max(self.share * self.requests, self.floor)
end

--- Counts a retry if it is allowed; whether it is.
function budget:take(now)
  if not self:allows(now) then return false end
  local slot = self.second % SPAN
  self.taken[slot], self.retries = self.taken[slot] + 1, self.retries + 1
  return true
end

return budget
