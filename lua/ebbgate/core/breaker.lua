--- When the results of requests say that an instance, or a service, must be left alone for a while.
---
--- Results are counted in ten buckets of a rolling window. What a bucket has counted is one number, so that one addition in
--- shared memory counts a request: how many there were, how many of them failed, how many were slow, 17 bits each.
local format, floor = string.format, math.floor

local breaker = {}

breaker.BUCKETS = 10
--- A bucket in which so many are counted counts no more: it is known by then, and no part of the number may run over.
breaker.MOST = 100000

local FAILED, SLOW = 2 ^ 17, 2 ^ 34

--- A request that is slower than this many times the median of its service is slow, but none that took less than LEAST
--- microseconds: differences below that come from the machine.
local TIMES, LEAST = 3, 10000
--- Answers before a median says anything, and how far each of them moves it in the end.
local KNOWN, STEP = 50, 0.01

--- What one request adds to its bucket.
function breaker.result(failed, slow)
  return 1 + (failed and FAILED or 0) + (slow and SLOW or 0)
end

--- How many requests a bucket has counted, how many of them failed, and how many were slow.
function breaker.counted(value)
  local requests = value % FAILED
  local slow = floor(value / SLOW)
  return requests, (value - slow * SLOW - requests) / FAILED, slow
end

--- The conditions on results that a set's health has besides max_fails, or false if it has none:
--- {span (seconds), least (requests), consecutive, failure_percent, slow_percent, slow_after (microseconds, or false: by the
--- median)}
function breaker.of_instance(given)
  local consecutive, failure_percent = given.consecutive_fails or 0, given.failure_percent or 0
  local slow_percent = given.slow_percent or 0
  if consecutive == 0 and failure_percent == 0 and slow_percent == 0 then return false end
  return {
    span = given.window_ms / 1000, least = given.min_requests, consecutive = consecutive, failure_percent = failure_percent,
    slow_percent = slow_percent, slow_after = given.slow_ms > 0 and given.slow_ms * 1000,
  }
end

--- The condition of a set's breaker (or nil), or false if it never opens by itself: as `of_instance`, and {statuses: set of
--- answers that are failures}.
function breaker.of_service(given)
  if not given or given.failure_percent == 0 then return false end
  local statuses = {}
  for _, status in ipairs(given.fail_statuses) do statuses[status] = true end
  return {
    span = given.window_ms / 1000, least = given.min_requests, failure_percent = given.failure_percent, slow_percent = 0,
    statuses = statuses,
  }
end

--- Why what a window has counted is too much, as a sentence, and the name of the condition; nil if it is not.
function breaker.reason(watch, requests, failed, slow)
  if requests < watch.least then return nil end
  if watch.failure_percent > 0 and failed * 100 >= watch.failure_percent * requests then
    return format('%.0f%% of %d requests failed within %g s', failed * 100 / requests, requests, watch.span), 'failure_percent'
  end
  if watch.slow_percent > 0 and slow * 100 >= watch.slow_percent * requests then
    return format('%.0f%% of %d requests were slow within %g s', slow * 100 / requests, requests, watch.span), 'slow_percent'
  end
  return nil
end

--- A median of latencies as they go by, without keeping any of them: each sample moves it by a small part of itself, upwards or
--- downwards, so that it rests where as many lie above as below (Q. Ma, S. Muthukrishnan, M. Sandler, "Frugal streaming for
--- estimating quantiles", 2013; by ratios, because latencies differ by orders of magnitude).
--- `known` {median (0 = nothing is known), seen}.
function breaker.learn(known, sample)
  if known.median == 0 then
    known.median, known.seen = sample, 1
    return
  end
  local seen = known.seen
  local step = seen < 294 and 1 / (2 + seen / 3) or STEP
  known.seen = seen + 1
  known.median = sample > known.median and known.median * (1 + step) or known.median / (1 + step)
end

--- True if a request that took so many microseconds is slow.
function breaker.is_slow(watch, known, took)
  if watch.slow_after then return took > watch.slow_after end
  return known.seen >= KNOWN and took > TIMES * known.median and took > LEAST
end

return breaker
