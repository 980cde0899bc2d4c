--- Token bucket: `rate` on average, `burst` at once.
---
--- Kept as one number, the theoretical arrival time (GCRA; ITU-T I.371, annex A): when the bucket is full again. A request of
--- cost c moves it by c ÷ rate from the later of itself and now, and may go if that is no more than burst ÷ rate ahead. So in
--- any time t at most rate × t + burst are admitted, whatever clocks do: one that steps back only makes it wait.
local max, floor, ceil = math.max, math.floor, math.ceil

local token_bucket = {}
token_bucket.__index = token_bucket

--- What sums of doubles lose: a thousandth of a token is given away.
token_bucket.ROUNDING = 1e-3

--- settings {count, window (seconds): count ÷ window is the rate; burst}
function token_bucket.new(settings)
  local interval = settings.window / settings.count
  local ahead = (settings.burst + token_bucket.ROUNDING) * interval
  return setmetatable({ interval = interval, ahead = ahead, burst = settings.burst }, token_bucket)
end

--- Takes `cost` tokens: 0, the seconds that the request has to wait. Or nil, and the seconds until there are as many, or infinity
--- if there never are.
function token_bucket:take(slot, now, cost)
  local at = max(slot.at, now) + cost * self.interval
  local over = at - now - self.ahead
  if over > 0 then return nil, cost > self.burst and math.huge or over end
  slot.at, slot.idle_at = at, at
  return 0
end

--- Gives back what was taken at the same moment.
function token_bucket:give(slot, cost)
  slot.at = slot.at - cost * self.interval
  slot.idle_at = slot.at
end

--- Tokens that are left, and seconds until the bucket is full.
function token_bucket:left(slot, now)
  local used = max(0, slot.at - now)
  return max(0, floor((self.ahead - used) / self.interval)), ceil(used)
end

return token_bucket
