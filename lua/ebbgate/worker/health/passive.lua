--- What requests say of an instance: which of them fail or are slow, when that ejects it, and when it is back. `self` is that of
--- health/health.lua; what is counted here, all workers count together.
local breaker = require 'ebbgate.core.breaker'
local core = require 'ebbgate.core.health'
local keys = require 'ebbgate.core.keys'
local metrics = require 'ebbgate.core.metrics'
local clock = require 'ebbgate.worker.clock'
local shm = require 'ebbgate.worker.shm'
local half_open = require 'ebbgate.worker.health.half_open'
local results = require 'ebbgate.worker.health.results'

local passive = {}

local ngx = ngx
local random = math.random

local WORDS = { error = 'connection failed or broken', timeout = 'timed out', broken = 'answer cut short' }

local function word(status)
  return WORDS[status] or 'status ' .. status
end

--- Failures of the instance `name` within fail_timeout, this one included.
local function count_failure(self, name, fail_timeout, now)
  local slot = core.slot(now, fail_timeout)
  local counted, err = shm.count(self.dict, keys.health.fails(name, slot), 1, fail_timeout * 1.25)
  if not counted then self:complain(err) end
  local sum = 0
  for i = slot - core.SLOTS + 1, slot do sum = sum + (self.dict:get(keys.health.fails(name, i)) or 0) end
  return sum
end

--- Failures in a row, this one included.
local function count_streak(self, name)
  local counted, err = shm.count(self.dict, keys.health.streak(name), 1)
  if not counted then self:complain(err) end
  return self.dict:get(keys.health.streak(name)) or 0
end

--- Where the results of `member` are counted.
local function results_of(self, member, name)
  if not member.results then member.results = results.new(self.dict, name, member.watch.span) end
  return member.results
end

--- Forgets what was counted of an instance: one that comes back begins again, whatever it was left alone for.
local function forget(self, settings, member, name, now)
  local fail_timeout = settings.fail_timeout_ms / 1000
  local slot = core.slot(now, fail_timeout)
  for i = slot - core.SLOTS, slot do self.dict:delete(keys.health.fails(name, i)) end
  self.dict:delete(keys.health.streak(name))
  if member.watch then results_of(self, member, name):forget(now) end
end

--- Ejects an instance of which `record`, packed as `before`, was known. `kind`: for the metrics.
local function eject(self, entry, settings, name, before, record, now, member, kind, reason)
  local fail_timeout, longest = settings.fail_timeout_ms / 1000, core.longest(settings)
  local ejected = core.eject(record, now, fail_timeout, reason, longest, random())
  if not self:move(name, before, ejected) then return end
  self:put(keys.health.warm(name), nil)
  self:touch(entry.service)
  self.counters:add(metrics.ejections, 1, entry.service, kind)
  ngx.log(ngx.WARN, 'ebbgate: ', entry.service, ': ', member.id, ' is ejected for ',
    string.format('%.3g', ejected.until_at - now), ' s: ', reason)
end

local function recover(self, entry, settings, name, before, record, now, member)
  forget(self, settings, member, name, now)
  if not self:move(name, before, core.recover(record, now)) then return end
  self:warm(name, settings, now)
  self:touch(entry.service)
  ngx.log(ngx.NOTICE, 'ebbgate: ', entry.service, ': ', member.id, ' is back')
end

local function end_of_half_open(self, entry, settings, name, member, status, now, taken, slow)
  local before = self.dict:get(keys.health.passive(name))
  local record = core.unpack_passive(before)
  if half_open.decides(taken, record) then
    local kind = member.failures[status] or slow and 'slow_percent'
    if kind then
      local reason = 'the half-open request failed, ejection ' .. record.level + 1 .. ' in a row: '
        .. (member.failures[status] and word(status) or 'slow')
      eject(self, entry, settings, name, before, record, now, member, kind, reason)
    else
      recover(self, entry, settings, name, before, record, now, member)
    end
  end
  self.half_open:abandon(taken)
end

--- Why a failure is one too many, and what the metrics call that; nil if it is not.
local function one_too_many(self, settings, name, member, status, now)
  local kind, watch = member.failures[status], member.watch
  local fail_timeout = settings.fail_timeout_ms / 1000
  local count = settings.max_fails > 0 and count_failure(self, name, fail_timeout, now) or 0
  if settings.max_fails > 0 and count >= settings.max_fails then
    return string.format('%d failure%s within %g s: %s', count, count == 1 and '' or 's', fail_timeout, word(status)), kind
  end
  if not watch or watch.consecutive == 0 then return nil end
  count = count_streak(self, name)
  if count < watch.consecutive then return nil end
  return string.format('%d failure%s in a row: %s', count, count == 1 and '' or 's', word(status)), 'consecutive_fails'
end

local function failed(self, entry, settings, name, member, status, now)
  local before = self.dict:get(keys.health.passive(name))
  local record = core.unpack_passive(before)
  -- Requests that were under way when it was ejected, or panic: only a half-open request shows more.
  if record and record.out then return end
  local reason, kind
  if member.failures[status] then reason, kind = one_too_many(self, settings, name, member, status, now) end
  if not reason and member.watch then
    reason, kind = breaker.reason(member.watch, results_of(self, member, name):sum(now))
  end
  if reason then eject(self, entry, settings, name, before, record, now, member, kind, reason) end
end

--- As health:outcome says.
function passive.settle(self, entry, member, status, taken, slow)
  local upstream = entry.upstream
  local settings = upstream and upstream.health
  local current = settings and upstream.by_id[member.id]
  -- Gone since, or at another address, or no longer asked for.
  if not current or current.host ~= member.host or current.port ~= member.port or not current.eligible
    or not core.is_passive(settings)
  then
    if taken then self.half_open:abandon(taken) end
    return
  end
  local name, now, noted = keys.health.name(entry.service, member), clock.now(), self.dict:get(entry.health_key)
  local conclude = taken and end_of_half_open or failed
  conclude(self, entry, settings, name, member, status, now, taken, slow)
  -- The others see it with their next request (live.upstream); this worker's next pick must know it already.
  if self.dict:get(entry.health_key) ~= noted then self.rebuild(entry) end
end

--- Counts a result as health:result says, and looks at what failed, was slow, or was half-open.
function passive.count(self, entry, member, status, took, taken)
  local watch, has_failed, slow = member.watch, member.failures[status] ~= nil, false
  if watch.slow_percent > 0 and took then
    local known = entry.latency
    slow = breaker.is_slow(watch, known, took)
    if not has_failed then breaker.learn(known, took) end
  end
  if not member.results then results_of(self, member, keys.health.name(entry.service, member)) end
  local counted, err = member.results:add(breaker.result(has_failed, slow), clock.now())
  if not counted then self:complain(err) end
  if watch.consecutive > 0 and not has_failed then
    if not member.streak_key then member.streak_key = keys.health.streak(keys.health.name(entry.service, member)) end
    if self.dict:get(member.streak_key) then self.dict:delete(member.streak_key) end
  end
  if has_failed or slow or taken then return self:outcome(entry, member, status, taken, slow) end
end

return passive
