--- Who does what only one may: one worker of this nginx at a time, old and new ones of a reload included.
local process = require 'ebbgate.worker.process'

local lock = {}
lock.__index = lock

local TTL = 5

--- The lock is `key` in `dict`.
function lock.new(dict, key, incarnation)
  return setmetatable({ dict = dict, key = key, incarnation = incarnation }, lock)
end

--- True if this worker holds the lock now. Look again just before a write that a second holder could be ahead of.
function lock:held()
  return self.dict:get(self.key) == self.incarnation
end

--- Takes the lock if it is free, its holder dead, or its own already (then it is renewed). True if it is held now.
function lock:take()
  if self.dict:safe_add(self.key, self.incarnation, TTL) then return true end
  local holder = self.dict:get(self.key)
  if holder == self.incarnation then return self.dict:expire(self.key, TTL) == true end
  if holder and process.alive(holder) then return false end
  if holder then self.dict:delete(self.key) end
  return self.dict:safe_add(self.key, self.incarnation, TTL) == true
end

function lock:release()
  if self:held() then self.dict:delete(self.key) end
end

return lock
