--- Leaky bucket: requests leave it one after the other, `rate` of them in a second; up to `queue` wait for that, the others are
--- refused. Kept as one number: when the last of those that were admitted leaves.
local token_bucket = require 'ebbgate.core.limit.token_bucket'

local max, floor, ceil = math.max, math.floor, math.ceil

local leaky_bucket = {}
leaky_bucket.__index = leaky_bucket

--- settings {count, window (seconds): count ÷ window is the rate; queue}
function leaky_bucket.new(settings)
  local interval = settings.window / settings.count
  local longest = (settings.queue + token_bucket.ROUNDING) * interval
  return setmetatable({ interval = interval, longest = longest }, leaky_bucket)
end

--- Takes a place in the queue: the seconds until the request may go. Or nil, and the seconds until there is a place.
function leaky_bucket:take(slot, now, cost)
  local begins = max(slot.at, now)
  local over = begins - now - self.longest
  if over > 0 then return nil, over end
  local at = begins + cost * self.interval
  slot.at, slot.idle_at = at, at
  return begins - now
end

--- Gives back what was taken at the same moment.
leaky_bucket.give = token_bucket.give

--- Requests that are admitted now, and seconds until the queue is empty.
function leaky_bucket:left(slot, now)
  local used = max(0, slot.at - now)
  return max(0, floor((self.longest - used) / self.interval) + 1), ceil(used)
end

return leaky_bucket
