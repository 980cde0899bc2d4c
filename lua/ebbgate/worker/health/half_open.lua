--- Half-open: one request at a time finds out whether an ejected instance is well again. One of this whole gateway, by a lease
--- that all workers share. A lease is the request's own: {key, value, until_at (of the ejection that it is to end)}.
local core = require 'ebbgate.core.health'
local keys = require 'ebbgate.core.keys'
local clock = require 'ebbgate.worker.clock'
local lease = require 'ebbgate.worker.lease'
local process = require 'ebbgate.worker.process'

local half_open = {}
half_open.__index = half_open

--- For as long as it may wait for an answer, within these seconds, a half-open request is the only one. A request that is still
--- open then (a download, say) delays no other.
local SHORTEST, LONGEST = 1, 60
--- How long this worker does not ask again for a lease that another request has.
local PAUSE = 0.1
--- parts {dict, incarnation, max_tries (the gateway's bound on every service's), is_safe() (whether the current request may be
--- sent to another instance when the half-open one fails; the protocol knows), mutex (of all workers: worker/limit/memory.lua)}
function half_open.new(parts)
  return setmetatable({
    dict = parts.dict, incarnation = parts.incarnation, max_tries = parts.max_tries, is_safe = parts.is_safe,
    mutex = parts.mutex, serial = 0,
  }, half_open)
end

--- True if another instance can answer the request when its half-open try, the first of `limit` tries, fails. Where nothing is
--- ever repeated one request is as good as the other.
local function may_be_repeated(self, entry, upstream, now, limit)
  if not self.is_safe() then return false end
  if upstream.tries == 1 or self.max_tries == 1 then return true end
  return limit > 1 and (not entry.budget or entry.budget:allows(now))
end

--- True if this request may be risked. One that cannot be repeated is risked if no other came for as long as the ejection
--- lasted, or if there is no other instance for it.
local function may_try(self, entry, upstream, member, now, limit)
  if upstream.picker.size == 0 then return true end
  local condition = member.condition
  if now >= condition.until_at + condition.lasts then return true end
  return may_be_repeated(self, entry, upstream, now, limit)
end

--- Takes the lease `key` for one request: its value, or nil if another request has it.
local function take_lease(self, key, upstream)
  local seconds = math.min(math.max(upstream.answer_within, SHORTEST), LONGEST)
  local owner = lease.owner(self.dict, key)
  if owner and process.alive(string.match(owner, '^[^|]*')) then return nil end
  self.serial = self.serial + 1
  local value = self.incarnation .. '|' .. self.serial
  -- Of several workers that found it over, or its owner dead, one gets it.
  self.mutex:lock()
  local is_free = lease.owner(self.dict, key) == owner
  -- Without room for a lease two half-open requests may meet; without a half-open request no instance would ever come back.
  if is_free then lease.replace(self.dict, key, value, seconds) end
  self.mutex:unlock()
  return is_free and value or nil
end

--- The member of `upstream` that this request, which has `limit` tries, is to try first, and its lease; or nil.
function half_open:take(entry, upstream, limit)
  local now = clock.now()
  for _, member in ipairs(upstream.half_open) do
    if now >= member.ask_at and may_try(self, entry, upstream, member, now, limit) then
      member.ask_at = now + PAUSE
      local name = keys.health.name(entry.service, member)
      local taken = { key = keys.health.lease(name), value = nil, until_at = nil }
      taken.value = take_lease(self, taken.key, upstream)
      if taken.value then
        -- The half-open request before this one may have ended since this upstream was built.
        local record = core.unpack_passive(self.dict:get(keys.health.passive(name)))
        local settings = upstream.health
        if record and record.out
          and core.is_due(record, now, settings.fail_timeout_ms / 1000, core.longest(settings))
        then
          taken.until_at = record.until_at
          return member, taken
        end
        self:abandon(taken)
      end
    end
  end
  return nil
end

--- True if `record` (or nil) is still the ejection that the request was sent to end. It may be when the lease is over: what an
--- instance answers after minutes is an answer too, unless a later half-open request has shown more.
function half_open.decides(taken, record)
  return record ~= nil and record.out and record.until_at == taken.until_at
end

--- Gives the lease back, unless it is over and another request has it.
function half_open:abandon(taken)
  self.mutex:lock()
  lease.release(self.dict, taken.key, taken.value)
  self.mutex:unlock()
end

return half_open
