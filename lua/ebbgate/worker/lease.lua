--- What one of many owns for a while: a key in a shared dictionary with its end beside its value, by the clock that never
--- goes back. The dictionary's own expiry goes by the wall clock: set back by an hour, a lease of five seconds would last an
--- hour, and set forward it would be over at once.
local clock = require 'ebbgate.worker.clock'

local lease = {}

--- The end is kept in the entry's flags, 32 bits, in hundredths of a second: they come round after 497 days. One that is further
--- ahead than any lease is long lies behind.
local GRAIN, ROUND, LONGEST = 100, 2 ^ 32, 3600

local function end_of(seconds)
  return math.ceil((clock.now() + seconds) * GRAIN) % ROUND
end

local function is_over(ends)
  local left = (ends - clock.now() * GRAIN) % ROUND
  return left == 0 or left > LONGEST * GRAIN
end

--- The owner of `key` now, or nil.
function lease.owner(dict, key)
  local value, ends = dict:get(key)
  if value == nil or is_over(ends or 0) then return nil end
  return value
end

--- Takes `key` for `value` and `seconds`, an hour at most, if it is free. True; or false and its owner; or nil and
--- "no memory".
---
--- Of two that take over what is over at the same moment both may get true; the later one owns it. Who must be sure asks
--- `owner` before it acts.
function lease.take(dict, key, value, seconds)
  local ends = end_of(seconds)
  local made, err = dict:safe_add(key, value, 0, ends)
  if made then return true end
  if err ~= 'exists' then return nil, err end
  local owner = lease.owner(dict, key)
  if owner ~= nil then return false, owner end
  return lease.replace(dict, key, value, seconds)
end

--- Takes `key`, whoever owns it.
function lease.replace(dict, key, value, seconds)
  local stored, err = dict:safe_set(key, value, 0, end_of(seconds))
  if not stored then return nil, err end
  return true
end

--- Gives `key` back, if `value` is what it has.
function lease.release(dict, key, value)
  if dict:get(key) == value then dict:delete(key) end
end

return lease
