--- Latency in buckets. Kept apart, not cumulated, so that an observation touches one number.
local histogram = {}

--- Upper bounds in milliseconds (docs/contract/examples/latency_buckets.json); what is above the last goes into one more
--- bucket. Neighbours differ by about a quarter (the R10 series of preferred numbers), so that a percentile that is read
--- from them is off by less than a third: with bounds of 1, 2, 5, 10 … three times as slow could look like less than twice.
histogram.BOUNDS_MS = {
  1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640, 800, 1000,
  1250, 1600, 2000, 2500, 3200, 4000, 5000, 6400, 8000, 10000, 12500, 16000, 20000, 25000, 30000,
}
histogram.SIZE = #histogram.BOUNDS_MS + 1

--- Prometheus is shown these and the last one: a third of the series.
local SHOWN_MS = {
  [1] = true, [2] = true, [5] = true, [10] = true, [25] = true, [50] = true, [100] = true, [250] = true, [500] = true,
  [1000] = true, [2500] = true, [5000] = true, [10000] = true, [30000] = true,
}

local BOUNDS_MS, SIZE = histogram.BOUNDS_MS, histogram.SIZE
local ceil = math.ceil

--- Every bound up to a second is a whole millisecond, and every one above it a multiple of 50: so two tables know the
--- bucket. Looking it up costs 2 ns, a search in the bounds 60.
local FINE_MS, COARSE_MS, COARSE = 1000, 30000, 50
local fine, coarse = {}, {}

local function search(ms)
  for i = 1, SIZE - 1 do
    if ms <= BOUNDS_MS[i] then return i end
  end
  return SIZE
end
for ms = 0, FINE_MS do fine[ms] = search(ms) end
for step = 0, COARSE_MS / COARSE do coarse[step] = search(step * COARSE) end

--- The bucket, 1 … SIZE, of a latency.
function histogram.bucket(ms)
  if ms <= FINE_MS then return fine[ceil(ms)] or 1 end
  return coarse[ceil(ms / COARSE)] or SIZE
end

--- True if Prometheus is shown the bound of this bucket.
function histogram.is_shown(index)
  return index == SIZE or SHOWN_MS[BOUNDS_MS[index]] == true
end

--- Prometheus' `le` of a bucket, in seconds.
function histogram.le(index)
  local bound = BOUNDS_MS[index]
  return bound and string.format('%g', bound / 1000) or '+Inf'
end

return histogram
