--- What a gateway knows of an instance's health, and how that changes. Times are seconds of the clock that is passed in.
---
--- Two things are known, each by itself:
---   passive   what requests met. {out, since, until_at, level, reason}: `out` true from an ejection to the half-open request
---             that goes well. `level` counts ejections in a row; it outlives the recovery, and wears off while the instance
---             is well.
---   active    what checks met. {verdict = 'unknown' | 'passing' | 'failing', since, streak, reason}: `streak` counts the
---             results in a row that speak against the verdict.
local format, match, floor, max, min = string.format, string.match, math.floor, math.max, math.min

local health = {}

--- The longest that an ejection lasts where the set does not say, unless fail_timeout itself is longer.
local LONGEST = 300
--- A failure counts for fail_timeout, to the nearest eighth of it.
health.SLOTS = 8
--- What a ramp starts with.
local FIRST_SHARE = 0.1
--- How often a ramp takes its next step.
local STEP = 1

--- True if what requests meet takes instances out.
function health.is_passive(settings)
  return settings.max_fails > 0 or (settings.consecutive_fails or 0) > 0 or (settings.failure_percent or 0) > 0
    or (settings.slow_percent or 0) > 0
end

--- The longest that an ejection lasts, in seconds; nil where the set does not say.
function health.longest(settings)
  local most = settings.max_ejection_ms or 0
  return most > 0 and most / 1000 or nil
end

--- How long ejection number `level` in a row lasts at least: fail_timeout × 1, 2, 4 …, up to `longest` (nil = what is usual).
function health.ejection_time(level, fail_timeout, longest)
  -- Past 2^20 every product is above the limit.
  return min(fail_timeout * 2 ^ min(level - 1, 20), longest or max(fail_timeout, LONGEST))
end

--- The same after a half-open request that failed, with `roll` in [0, 1): up to as much again is drawn, so that gateways which
--- ejected an instance together do not go on asking it together (equal jitter: one half is fixed, one half drawn).
local function drawn_time(level, fail_timeout, longest, roll)
  return min(health.ejection_time(level, fail_timeout, longest) * (1 + roll), longest or max(fail_timeout, LONGEST))
end

--- What is left of `level` after the instance was well for `seconds`: one less for every two of its last ejections' time.
local function worn(level, seconds, fail_timeout, longest)
  while level > 0 do
    local step = 2 * health.ejection_time(level, fail_timeout, longest)
    if seconds < step then return level end
    level, seconds = level - 1, seconds - step
  end
  return 0
end

--- The slot of time in which a failure at `now` is counted; the last SLOTS of them are one fail_timeout.
function health.slot(now, fail_timeout)
  return floor(now * health.SLOTS / fail_timeout)
end

--- The record after an ejection at `now`; `record` is the one before, or nil. A half-open request that failed is an ejection too.
---   longest  health.longest
---   roll     in [0, 1): how much longer than it must be if it was out already; nil = 0
function health.eject(record, now, fail_timeout, reason, longest, roll)
  local level, spread = 1, 0
  if record and record.out then
    level, spread = record.level + 1, roll or 0
  elseif record then
    level = worn(record.level, now - record.since, fail_timeout, longest) + 1
  end
  return {
    out = true, since = record and record.out and record.since or now,
    until_at = now + drawn_time(level, fail_timeout, longest, spread), level = level, reason = reason,
  }
end

--- True if the time of an ejection is over. One that seems to last longer than it may, because the clock went back or
--- fail_timeout was lowered, is over too.
function health.is_due(record, now, fail_timeout, longest)
  -- The first in a row has nothing drawn.
  local most = drawn_time(record.level, fail_timeout, longest, record.level > 1 and 1 or 0)
  return now >= record.until_at or record.until_at - now > most + 1
end

--- The record after a half-open request that went well.
function health.recover(record, now)
  return { out = false, since = now, until_at = 0, level = record.level, reason = '' }
end

--- The record after a check; `record` nil = it was never checked. Then: whether anything differs from before, and whether that
--- may change who is used.
function health.checked(record, passed, now, check, reason)
  local verdict, streak = record and record.verdict or 'unknown', record and record.streak or 0
  local against = passed == (verdict == 'failing')
  if passed and verdict == 'unknown' then
    return { verdict = 'passing', since = now, streak = 0, reason = '' }, true, streak > 0
  end
  if not against then
    if streak == 0 then return record, false, false end
    return { verdict = verdict, since = record.since, streak = 0, reason = record.reason }, true, false
  end
  streak = streak + 1
  if streak >= (passed and check.rise or check.fall) then
    local text = passed and '' or format('%d check%s failed: %s', streak, streak == 1 and '' or 's', reason)
    return { verdict = passed and 'passing' or 'failing', since = now, streak = 0, reason = text }, true, true
  end
  -- The first failure of one that never passed says something of a suspect.
  return {
    verdict = verdict, since = record and record.since or now, streak = streak,
    reason = passed and record.reason or 'a check failed: ' .. reason,
  }, true, verdict == 'unknown' and streak == 1
end

function health.pack_passive(record)
  return format(
    '%s|%.3f|%.3f|%d|%s', record.out and 'out' or 'in', record.since, record.until_at, record.level, record.reason
  )
end

--- Nil if `text` is nil.
function health.unpack_passive(text)
  if not text then return nil end
  local out, since, until_at, level, reason = match(text, '^(%a+)|([%d.]+)|([%d.]+)|(%d+)|(.*)$')
  return out and {
    out = out == 'out', since = tonumber(since), until_at = tonumber(until_at), level = tonumber(level), reason = reason,
  }
end

function health.pack_active(record)
  return format('%s|%.3f|%d|%s', record.verdict, record.since, record.streak, record.reason)
end

--- Nil if `text` is nil.
function health.unpack_active(text)
  if not text then return nil end
  local verdict, since, streak, reason = match(text, '^(%a+)|([%d.]+)|(%d+)|(.*)$')
  return verdict and { verdict = verdict, since = tonumber(since), streak = tonumber(streak), reason = reason }
end

--- True if what checks say keeps an instance of this state of the set out.
local function is_failing(state, active)
  return active.verdict == 'failing' or state == 'suspect' and active.verdict == 'unknown' and active.streak > 0
end

--- What all that makes of an instance, or nil if it is plainly healthy.
---   known     {state (the set's), passive, active (nil without checks), warm_since (nil = not warming)}
---   settings  the set's health
--- The condition: {state = 'failing' | 'ejected' | 'half_open' | 'warming', reason, since, out (true = it must not be used),
--- factor (of its weight), until_at (of an ejection), lasts (how long in all), wake_at (when to look again; nil =
--- when something changes)}
function health.condition(known, settings, now)
  local passive, active = known.passive, known.active
  if active and is_failing(known.state, active) then
    return { state = 'failing', reason = active.reason, since = active.since, out = true, factor = 1 }
  end
  if passive and passive.out and health.is_passive(settings) then
    local fail_timeout, longest = settings.fail_timeout_ms / 1000, health.longest(settings)
    local due = health.is_due(passive, now, fail_timeout, longest)
    return {
      state = due and 'half_open' or 'ejected', reason = passive.reason, since = passive.since, out = true, factor = 1,
      until_at = passive.until_at, lasts = health.ejection_time(passive.level, fail_timeout, longest),
      wake_at = not due and passive.until_at or nil,
    }
  end
  local slow_start, since = settings.slow_start_ms / 1000, known.warm_since
  if not since or now >= since + slow_start then return nil end
  local progress = max(0, (now - since) / slow_start)
  return {
    state = 'warming', reason = format('slow start over %g s', slow_start), since = since, out = false,
    factor = FIRST_SHARE + (1 - FIRST_SHARE) * progress, wake_at = min(now + STEP, since + slow_start),
  }
end

--- The ids that `document` lets new requests go to and `previous` did not: they begin slowly. `eligible(peer)` says which.
function health.newcomers(document, previous, eligible)
  local known, list = {}, {}
  for _, p in ipairs(previous.peers or {}) do known[p.id] = eligible(p) end
  for _, p in ipairs(document.peers or {}) do
    if eligible(p) and not known[p.id] then list[#list + 1] = p end
  end
  return list
end

return health
