--- How the last requests of one instance, or of one service, ended: counted by all workers together, in the buckets of
--- core/breaker.lua. A request costs one addition in ebb_health and makes nothing.
local breaker = require 'ebbgate.core.breaker'
local keys = require 'ebbgate.core.keys'
local shm = require 'ebbgate.worker.shm'

local results = {}
results.__index = results

local floor = math.floor
local BUCKETS, MOST, FIELD = breaker.BUCKETS, breaker.MOST, 2 ^ 17

--- `name`: as keys.health.results takes it; `span`: seconds of the window.
function results.new(dict, name, span)
  return setmetatable({
    dict = dict, name = name, scale = BUCKETS / span, kept = span * (1 + 2 / BUCKETS), bucket = -1, key = false, full = false,
  }, results)
end

--- Counts a request: breaker.result. True, or nil and why it was not.
function results:add(value, now)
  local bucket = floor(now * self.scale)
  if bucket ~= self.bucket then
    self.bucket, self.key, self.full = bucket, keys.health.results(self.name, bucket), false
  end
  if self.full then return true end
  local sum = self.dict:incr(self.key, value)
  if not sum then return shm.count(self.dict, self.key, value, self.kept) end
  if sum % FIELD >= MOST then self.full = true end
  return true
end

--- Requests of the window that ends now, how many of them failed, how many were slow.
function results:sum(now)
  local last, requests, failed, slow = floor(now * self.scale), 0, 0, 0
  for bucket = last - BUCKETS + 1, last do
    local value = self.dict:get(keys.health.results(self.name, bucket))
    if value then
      local more, bad, late = breaker.counted(value)
      requests, failed, slow = requests + more, failed + bad, slow + late
    end
  end
  return requests, failed, slow
end

--- Begins again from nothing.
function results:forget(now)
  local last = floor(now * self.scale)
  for bucket = last - BUCKETS, last do self.dict:delete(keys.health.results(self.name, bucket)) end
end

return results
