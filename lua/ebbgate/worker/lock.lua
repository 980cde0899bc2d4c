--- Who does what only one may: one worker of this nginx at a time, old and new ones of a reload included.
local lease = require 'ebbgate.worker.lease'
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
  return lease.holder(self.dict, self.key) == self.incarnation
end

--- Takes the lock if it is free, its holder dead, or its own already (then it is renewed). True if it is held now.
function lock:take()
  local holder = lease.holder(self.dict, self.key)
  if holder == nil then return lease.take(self.dict, self.key, self.incarnation, TTL) == true end
  if holder ~= self.incarnation and process.alive(holder) then return false end
  return lease.replace(self.dict, self.key, self.incarnation, TTL) == true
end

function lock:release()
  lease.release(self.dict, self.key, self.incarnation)
end

return lock
