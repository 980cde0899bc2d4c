--- For work that only one worker of this nginx may do at a time, old and new ones of a reload included.
local lease = require 'ebbgate.worker.lease'
local process = require 'ebbgate.worker.process'

local lock = {}
lock.__index = lock

local TTL = 5

--- The lock is `key` in `dict`.
function lock.new(dict, key, incarnation)
  return setmetatable({ dict = dict, key = key, incarnation = incarnation }, lock)
end

--- True if this worker owns the lock now. Look again just before a write that a second owner could be ahead of.
function lock:is_owned()
  return lease.owner(self.dict, self.key) == self.incarnation
end

--- Takes the lock if it is free, its owner dead, or its own already (then it is renewed). True if it is owned now.
function lock:take()
  local owner = lease.owner(self.dict, self.key)
  if owner == nil then return lease.take(self.dict, self.key, self.incarnation, TTL) == true end
  if owner ~= self.incarnation and process.alive(owner) then return false end
  return lease.replace(self.dict, self.key, self.incarnation, TTL) == true
end

function lock:release()
  lease.release(self.dict, self.key, self.incarnation)
end

return lock
