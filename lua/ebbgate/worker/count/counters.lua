--- The traffic's counters. A request only touches numbers of its own worker; they are added to ebb_metrics about every
--- second, and by the log phase while the worker exits (timers do not run then).
local histogram = require 'ebbgate.core.histogram'
local keys = require 'ebbgate.core.keys'
local metrics = require 'ebbgate.core.metrics'
local shm = require 'ebbgate.worker.shm'

local counters = {}
counters.__index = counters

local bucket = histogram.bucket

function counters.prepare(dict)
  dict:safe_add(keys.metrics.made, 0)
end

function counters.new(dict)
  -- The members that count on them keep them: those of versions and services that are no more are collected, once all that
  -- they counted was flushed (`dirty` keeps them until then).
  local series = setmetatable({}, { __mode = 'v' })
  return setmetatable({
    dict = dict, series = series, dirty = {}, dirty_count = 0, limit_counts = {}, auth_counts = {}, full = false,
  }, counters)
end

--- The totals of one version of one service, the same for all of its members.
local function series_of(self, member)
  local name = member.service .. '|' .. member.version
  local series = self.series[name]
  if not series then
    series = { requests = 0, errors = 0, ms = 0, buckets = {} }
    for i = 1, histogram.SIZE do series.buckets[i] = 0 end
    self.series[name] = series
  end
  return series
end

local function touch(self, member)
  if not member.series then
    member.series, member.classes, member.retries = series_of(self, member), { 0, 0, 0, 0, 0 }, 0
    member.exhausted, member.broken = 0, 0
  end
  if not member.dirty then
    member.dirty = true
    self.dirty_count = self.dirty_count + 1
    self.dirty[self.dirty_count] = member
  end
end

--- Counts a finished request on a member of an upstream, or on an entry's `nobody`. `ms` may be a fraction, and nil where a
--- latency says nothing, as for a WebSocket.
function counters:request(member, status, ms)
  if not member.dirty then touch(self, member) end
  local class = status >= 100 and status < 600 and (status - status % 100) / 100 or 5
  member.classes[class] = member.classes[class] + 1
  local series = member.series
  series.requests = series.requests + 1
  if class == 5 then series.errors = series.errors + 1 end
  if not ms then return end
  series.ms = series.ms + ms
  local index = bucket(ms)
  series.buckets[index] = series.buckets[index] + 1
end

--- Counts a finished request, which `request` has counted, as one whose answer the instance cut short: a failure of its version.
function counters:broken(member, status)
  if not member.dirty then touch(self, member) end
  member.broken = member.broken + 1
  if status < 500 then member.series.errors = member.series.errors + 1 end
end

--- Counts a try after the first one, on the member that it went to.
function counters:retry(member)
  if not member.dirty then touch(self, member) end
  member.retries = member.retries + 1
end

--- Counts a request that got no other try because its service's budget was spent, on the entry's `nobody`.
function counters:exhausted(nobody)
  if not nobody.dirty then touch(self, nobody) end
  nobody.exhausted = nobody.exhausted + 1
end

--- Counts keys of limits that were forgotten.
function counters:evicted(count)
  if count > 0 then self:add(metrics.limit_evictions, count) end
end

--- Notes that a limit has counted since the last flush: `counted` (core/limit/limit.lua).
function counters:limited(counted)
  counted.dirty = true
  self.limit_counts[#self.limit_counts + 1] = counted
end

--- Counts a request that was asked for a key: `counted` (core/auth.lua).
function counters:authenticated(counted, result)
  counted[result] = counted[result] + 1
  if counted.dirty then return end
  counted.dirty = true
  self.auth_counts[#self.auth_counts + 1] = counted
end

--- Adds `n` to a counter of this nginx at once: `metric` of core/metrics.lua, then the values of its labels.
function counters:add(metric, n, ...)
  local counted, made = shm.count(self.dict, metrics.key(metric, ...), n)
  if made then self.dict:incr(keys.metrics.made, 1) end
  if not counted and not self.full then
    self.full = true
    ngx.log(ngx.ERR, 'ebbgate: ebb_metrics is full, some counters are missing')
  end
end

--- Counts an error of the sync; also from init, where there is no worker yet.
function counters:sync_error(kind)
  self:add(metrics.sync_error, 1, kind)
end

local function flush_series(self, service, version, series)
  if series.requests > 0 then
    self:add(metrics.version_requests, series.requests, service, version)
    self:add(metrics.version_ms, math.floor(series.ms), service, version)
    -- The fraction stays for the next time, so nothing is rounded away.
    series.requests, series.ms = 0, series.ms - math.floor(series.ms)
  end
  if series.errors > 0 then
    self:add(metrics.version_errors, series.errors, service, version)
    series.errors = 0
  end
  for index = 1, histogram.SIZE do
    if series.buckets[index] > 0 then
      self:add(metrics.bucket, series.buckets[index], service, version, index)
      series.buckets[index] = 0
    end
  end
end

local RESULTS = { 'admitted', 'delayed', 'refused' }

local function flush_limits(self)
  local limit_counts = self.limit_counts
  self.limit_counts = {}
  for _, counted in ipairs(limit_counts) do
    counted.dirty = false
    for _, result in ipairs(RESULTS) do
      if counted[result] > 0 then self:add(metrics.limited, counted[result], counted.service, counted.limit, result) end
      counted[result] = 0
    end
  end
end

local AUTH_RESULTS = { 'admitted', 'missing', 'unknown', 'expired', 'not_allowed' }

local function flush_auth(self)
  local auth_counts = self.auth_counts
  self.auth_counts = {}
  for _, counted in ipairs(auth_counts) do
    counted.dirty = false
    for _, result in ipairs(AUTH_RESULTS) do
      if counted[result] > 0 then self:add(metrics.auth, counted[result], counted.service, result) end
      counted[result] = 0
    end
  end
end

--- Moves what was counted since the last time into the shared dictionary.
function counters:flush()
  flush_limits(self)
  flush_auth(self)
  local dirty, count = self.dirty, self.dirty_count
  self.dirty, self.dirty_count = {}, 0
  for i = 1, count do
    local member = dirty[i]
    member.dirty = false
    for class = 1, 5 do
      if member.classes[class] > 0 then
        self:add(metrics.requests, member.classes[class], member.service, member.version, member.id, class .. 'xx')
        member.classes[class] = 0
      end
    end
    if member.retries > 0 then
      self:add(metrics.retries, member.retries, member.service)
      member.retries = 0
    end
    if member.broken > 0 then
      self:add(metrics.broken, member.broken, member.service, member.version, member.id)
      member.broken = 0
    end
    if member.exhausted > 0 then
      self:add(metrics.budget_exhausted, member.exhausted, member.service)
      member.exhausted = 0
    end
    flush_series(self, member.service, member.version, member.series)
  end
end

return counters
