--- A gateway that has just started has requests wait a moment, until it is known in Redis and has the newest sets. With
--- Redis away it serves what its disk had. A reload and a respawned worker find the flag set and never wait.
local keys = require 'ebbgate.core.keys'
local clock = require 'ebbgate.worker.clock'

local startup = {}

local STEP = 0.01

--- `wait_ms` from the start of nginx on is the longest that a request waits.
function startup.start(state, wait_ms)
  startup.state = state
  startup.deadline = (state:get(keys.state.started_at) or 0) + wait_ms / 1000
  startup.over = false
end

--- Returns when requests may be served. Only in a phase that may yield.
function startup.wait()
  while not startup.over do
    if startup.state:get(keys.state.serving) or clock.now() >= startup.deadline then
      startup.state:safe_set(keys.state.serving, true)
      startup.over = true
    else
      ngx.sleep(STEP)
    end
  end
end

return startup
