--- One request at a time finds out whether an ejected instance is well again: one of this whole gateway, by a lease that all
--- workers share.
local core = require 'ebbgate.core.health'
local keys = require 'ebbgate.core.keys'
local process = require 'ebbgate.worker.process'

local trials = {}
trials.__index = trials

local ngx = ngx

--- For as long as it may wait for an answer, within these seconds, a trial is the only one. A request that is still open then (a
--- download, say) holds up no other.
local SHORTEST, LONGEST = 1, 60
--- How long this worker does not ask again for a lease that another request has.
local PAUSE = 0.1
--- Requests that may be sent to another instance when the trial fails.
local REPEATABLE = { GET = true, HEAD = true, OPTIONS = true }

function trials.new(dict, incarnation)
  return setmetatable({ dict = dict, incarnation = incarnation }, trials)
end

--- True if this request may be risked. One that cannot be repeated is risked if no other came for as long as the ejection
--- lasted, or if there is nobody else for it.
local function may_try(fleet, member, now)
  if fleet.picker.size == 0 then return true end
  local condition = member.condition
  if now >= condition.until_at + condition.hold then return true end
  return REPEATABLE[ngx.req.get_method()] and not ngx.var.http_upgrade
end

local function lease(self, name, fleet)
  local key, seconds = keys.health.lease(name), math.min(math.max(fleet.answer_within, SHORTEST), LONGEST)
  local made, err = self.dict:safe_add(key, self.incarnation, seconds)
  -- Without room for a lease two trials may meet; without a trial nobody would ever come back.
  if made or err == 'no memory' then return true end
  local holder = self.dict:get(key)
  if holder and process.alive(holder) then return false end
  if holder then self.dict:delete(key) end
  return self.dict:safe_add(key, self.incarnation, seconds) == true
end

--- The member of `fleet` that this request is to try, or nil.
function trials:take(entry, fleet)
  local now = ngx.now()
  for _, member in ipairs(fleet.trials) do
    if now >= member.ask_at and may_try(fleet, member, now) then
      member.ask_at = now + PAUSE
      local name = keys.health.name(entry.service, member)
      if lease(self, name, fleet) then
        -- The trial before this one may have ended since this fleet was built.
        local record = core.unpack_passive(self.dict:get(keys.health.passive(name)))
        if record and record.out and core.is_due(record, now, fleet.health.fail_timeout_ms / 1000) then return member end
        self:abandon(member)
      end
    end
  end
  return nil
end

--- Gives the lease back.
function trials:abandon(member)
  if not member.trial then return end
  local key = keys.health.lease(keys.health.name(member.service, member))
  if self.dict:get(key) == self.incarnation then self.dict:delete(key) end
end

return trials
