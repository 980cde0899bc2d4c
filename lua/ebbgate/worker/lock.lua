--- Who syncs: one worker of this nginx at a time, old and new ones of a reload included.
local keys = require 'ebbgate.core.keys'
local process = require 'ebbgate.worker.process'

local lock = {}
lock.__index = lock

local TTL = 5

function lock.new(state, incarnation)
  return setmetatable({ state = state, incarnation = incarnation }, lock)
end

--- True if this worker holds the lock now. Look again just before a write that a second holder could be ahead of.
function lock:held()
  return self.state:get(keys.state.lock) == self.incarnation
end

--- Takes the lock if it is free, its holder dead, or its own already (then it is renewed). True if it is held now.
function lock:take()
  if self.state:safe_add(keys.state.lock, self.incarnation, TTL) then return true end
  local holder = self.state:get(keys.state.lock)
  if holder == self.incarnation then return self.state:expire(keys.state.lock, TTL) == true end
  if holder and process.alive(holder) then return false end
  if holder then self.state:delete(keys.state.lock) end
  return self.state:safe_add(keys.state.lock, self.incarnation, TTL) == true
end

function lock:release()
  if self:held() then self.state:delete(keys.state.lock) end
end

return lock
