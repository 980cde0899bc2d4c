--- Latency in buckets. Kept apart, not cumulated, so that an observation touches one number.
local histogram = {}

--- Upper bounds in milliseconds; what is above the last goes into one more bucket.
histogram.BOUNDS_MS = { 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000 }
histogram.SIZE = #histogram.BOUNDS_MS + 1

local BOUNDS_MS, SIZE = histogram.BOUNDS_MS, histogram.SIZE

--- The bucket, 1 … SIZE, of a latency.
function histogram.bucket(ms)
  for i = 1, SIZE - 1 do
    if ms <= BOUNDS_MS[i] then return i end
  end
  return SIZE
end

--- Prometheus' `le` of a bucket, in seconds.
function histogram.le(index)
  local bound = BOUNDS_MS[index]
  return bound and string.format('%g', bound / 1000) or '+Inf'
end

return histogram
