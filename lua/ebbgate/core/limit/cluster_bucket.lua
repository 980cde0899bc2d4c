--- Token bucket of all gateways together: `rate` on average, `burst` at once, whichever gateway requests come to.
---
--- The bucket is in Redis, and no request waits for it. A gateway keeps what it last saw of it and what it has let through since,
--- which it reports soon after (worker/limit/exchange.lua). Between two answers it lets through no more than its share of what
--- was left then and has come back since, divided by the gateways that used the key lately. Redis adds what is reported, whatever
--- it is, so what was too much comes off what follows, and the mean is the rate. In any time t all gateways together admit no
--- more than rate × t + 2 × burst + the number of gateways.
---
--- While Redis is away each gateway is a bucket of its own with its share of rate and burst.
---
--- Fields of a slot (core/limit/slots.lua):
---   at       when the bucket is full again, by all that is known here
---   seen     the same, as Redis said it last, without what it does not know yet
---   spent    what was let through here and Redis has not confirmed
---   before   how much of that is on its way
---   first, sent, heard   when the first of it that is not on its way was let through, when something was last sent, when Redis
---                        answered last: milliseconds, modulo 2^32
---   users    gateways that used the key lately; 0 if Redis was never asked
local token_bucket = require 'ebbgate.core.limit.token_bucket'

local floor, max = math.floor, math.max

local cluster_bucket = { is_shared = true }
cluster_bucket.__index = cluster_bucket

local ROUNDING = token_bucket.ROUNDING
--- Seconds after which an answer says nothing of who else uses a key; the same as in lua/redis/limit.lua.
local STALE = 1
--- Seconds after which what is on its way was lost with its worker.
local LOST = 2
--- Seconds after which who was refused because Redis has to answer first may try again.
local SOON = 0.01

local ROUND = 2 ^ 32

local function milliseconds(now) return floor(now * 1000) % ROUND end

--- Seconds from a moment to now; 0 of one that another worker's clock has reached and this one's has not.
local function elapsed(from, now)
  local passed = (milliseconds(now) - from) % ROUND
  return passed < ROUND / 2 and passed / 1000 or 0
end

--- settings {count, window (seconds): count ÷ window is the rate; burst}
function cluster_bucket.new(settings)
  local interval = settings.window / settings.count
  return setmetatable({
    interval = interval, burst = settings.burst, ahead = (settings.burst + ROUNDING) * interval,
  }, cluster_bucket)
end

--- What this gateway may have let through without Redis knowing.
local function share(self, slot, now, gateways)
  local users = slot.users
  if users == 0 or elapsed(slot.heard, now) > STALE then users = max(users, gateways) end
  return (self.burst - max(0, slot.seen - now) / self.interval) / users + ROUNDING
end

--- Takes `cost` tokens: 0, the seconds that the request has to wait. Or nil, and the seconds until it may be tried again, or
--- infinity; then true if Redis has to answer first.
---   gateways  that share limits, 1 at least
---   away      Redis does not answer
function cluster_bucket:take(slot, now, cost, gateways, away)
  local interval, ahead, at = self.interval, self.ahead, slot.at
  if away then
    at, interval = max(at, slot.seen + slot.spent * interval * gateways), interval * gateways
    ahead = max(ahead, (cost + ROUNDING) * interval)
  end
  at = max(at, now) + cost * interval
  local over = at - now - ahead
  if over > 0 then return nil, cost > self.burst and math.huge or over end
  local spent = slot.spent
  if not away and spent > 0 and spent + cost > share(self, slot, now, gateways) then return nil, SOON, true end
  if spent <= slot.before then slot.first = milliseconds(now) end
  slot.at, slot.idle_at, slot.spent = at, at, spent + cost
  return 0
end

--- Gives back what was taken at the same moment.
function cluster_bucket:give(slot, cost, gateways, away)
  slot.at = slot.at - cost * (away and self.interval * gateways or self.interval)
  slot.idle_at, slot.spent = slot.at, max(0, slot.spent - cost)
end

--- Tokens that are left, and seconds until the bucket is full.
cluster_bucket.left = token_bucket.left

--- True if something is neither on its way nor confirmed.
function cluster_bucket.is_owing(slot, now)
  return slot.spent > slot.before or slot.spent > 0 and elapsed(slot.sent, now) > LOST
end

--- Sends what Redis does not know: how much, since when it has been owed (seconds), what `seen` is from now, and whether more
--- of it is on its way; nil if there is nothing.
function cluster_bucket.send(_, slot, now)
  if slot.before > 0 and elapsed(slot.sent, now) > LOST then slot.before = 0 end
  local amount = slot.spent - slot.before
  if amount <= 0 then return nil end
  local age, more = elapsed(slot.first, now), slot.before > 0
  slot.before, slot.sent, slot.first = slot.spent, milliseconds(now), milliseconds(now)
  return amount, age, slot.seen - now, more
end

--- Redis has added `amount`: the bucket is full again `left` seconds from now, and so many gateways use it.
function cluster_bucket:confirm(slot, now, amount, left, users)
  slot.spent, slot.before = max(0, slot.spent - amount), max(0, slot.before - amount)
  slot.seen, slot.heard, slot.users = now + left, milliseconds(now), users
  slot.at = max(slot.seen, now) + slot.spent * self.interval
  slot.idle_at = slot.at
end

--- Redis has not answered: `amount`, which was owed for `age` seconds when it was sent at `sent_at`, is to be sent again.
function cluster_bucket.take_back(_, slot, amount, age, sent_at)
  local first = milliseconds(sent_at - age)
  -- What another worker sends, or what has come since, is owed for less long, or for longer.
  if slot.spent <= slot.before or (slot.first - first) % ROUND < ROUND / 2 then slot.first = first end
  slot.before = max(0, slot.before - amount)
end

return cluster_bucket
