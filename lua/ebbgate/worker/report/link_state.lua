--- How the link to Redis is, for /readyz.
local keys = require 'ebbgate.core.keys'
local clock = require 'ebbgate.worker.clock'

local link_state = {}

--- To be called after each question to Redis, with or without an answer. Keeps the moment of a change (clock.now).
function link_state.note(state, connected)
  local now = connected and 'connected' or 'disconnected'
  if state:get(keys.state.redis) == now then return end
  state:safe_set(keys.state.redis, now)
  state:safe_set(keys.state.redis_since, clock.now())
end

return link_state
