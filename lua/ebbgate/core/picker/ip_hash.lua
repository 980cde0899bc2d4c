--- Clients keep their instance by their address: consistent hashing on it (consistent_hash.lua has the promises), without a
--- bound on the load, because a client would lose its instance whenever that one is busy.
local consistent_hash = require 'ebbgate.core.picker.consistent_hash'

local ip_hash = {}

function ip_hash.new(members, roll)
  return consistent_hash.new(members, roll, { max_load_percent = 0 })
end

return ip_hash
