--[[ Adds up what gateways have let through of limits that hold for all of them together.

Promise: what is reported is always added, so that nothing which was let through is forgotten; a caller that has let too much
through pays by waiting. All keys go together, and each is idle again by itself: it expires. What comes later than the caller
waits is not added: it reports the same again.

Each limit's key is one set. A gateway is a member, scored by when it last reported. Two more members, which no gateway is
called like, have negative scores, so that gateways are what lies above 0:
  @until   when the bucket is full again (the theoretical arrival time of GCRA), negated
  @since   when the limit was last used after nobody had used it, negated
Times are microseconds of this server's clock. One that was set back is noticed by reports from the future.

KEYS  1 gateways  {ebb}:limit:gateways  ZSET  every gateway that shares limits, scored by when it last came
      2 … limits  {ebb}:limit:<sha1>    ZSET
ARGV  1 gateway   id of the caller
      2 sent      when the caller sent this, by this clock; 0 = it does not know. Half a second later it has given it up
      3 known     how many gateways the caller has shared limits with while Redis was away
      4 … five numbers of each limit, microseconds, in the order of the keys:
        spent     what is reported, as the time in which it comes back
        age       for how long the caller has not reported the first of it
        waiting   for how long the caller has waited for an answer about more of it, which is on its way; 0 = nothing is
        ahead     what the whole burst is worth
        seen      what the caller believes @until to be, from now: for a Redis that has lost it
Returns {now, gateways} and of each limit {…, @until from now, gateways that used it lately}; {now} if it came too late
]]
local FORGOTTEN, LEFT, AWAY, WAKING, LATE = 1000000, 2000000, 300000, 50000, 500000

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local id, sent, known = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function text(number) return string.format('%.0f', number) end

local delay = sent > 0 and math.max(0, now - sent) or 0
if delay > LATE then return { text(now) } end

--- Forgets who has not used a key for so long. The moment of the latest report, or nil.
local function forget(key, age)
  local newest = redis.call('ZRANGE', key, 0, 0, 'REV', 'WITHSCORES')
  local last = tonumber(newest[2] or '0')
  if last > now then redis.call('ZREMRANGEBYSCORE', key, '(' .. text(now), '+inf') end
  redis.call('ZREMRANGEBYSCORE', key, '(0', text(now - age))
  return last > 0 and last or nil
end

local function score(key, member)
  local found = redis.call('ZSCORE', key, member)
  return found and -tonumber(found) or nil
end

--- What the bucket was at before this report, by the time that was reported. While Redis was away each gateway had its share of
--- the rate; that is what it is given here, so that who reports first does not take what the others had.
local function settle(before, spent, age, waiting, last)
  local away = math.max(age, waiting) + delay
  if away <= AWAY then return math.max(before, now - age - delay) + spent end
  local gap = math.min(away, last and math.max(0, now - last) or away)
  return math.max(math.max(before + gap, now) + spent - age / known, now)
end

forget(KEYS[1], LEFT)
redis.call('ZADD', KEYS[1], text(now), id)
redis.call('PEXPIRE', KEYS[1], 10000)
local gateways = redis.call('ZCARD', KEYS[1])
local answer = { text(now), text(gateways) }

for i = 2, #KEYS do
  local key, at = KEYS[i], 5 * i - 7
  local spent, age, waiting = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local ahead, seen = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local last = forget(key, FORGOTTEN)
  local before, since = score(key, '@until'), score(key, '@since')
  if before and last and last > now then
    before, since = before - (last - now), now
  end
  if redis.call('ZCOUNT', key, '(0', '+inf') == 0 then since = now end
  local full_at = settle(before or now + seen, spent, age, waiting, last)
  redis.call('ZADD', key, text(now), id, text(-full_at), '@until', text(-(since or now)), '@since')
  redis.call('PEXPIRE', key, text(math.max(0, full_at - now) / 1000 + ahead / 1000 + 2000))
  local users = redis.call('ZCOUNT', key, '(0', '+inf')
  -- Of those that begin at the same moment, each comes to see the others only now.
  if now - (since or now) < WAKING then users = math.max(users, gateways) end
  answer[#answer + 1] = text(full_at - now)
  answer[#answer + 1] = text(users)
end
return answer
