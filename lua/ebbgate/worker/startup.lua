--- A gateway that has just started has requests wait a moment, until it is known in Redis and has the newest sets. With
--- Redis away it serves what its disk had, unless it has left the roster (worker/report/departure.lua). A reload and a respawned
--- worker find the flag set and never wait.
local keys = require 'ebbgate.core.keys'
local clock = require 'ebbgate.worker.clock'
local departure = require 'ebbgate.worker.report.departure'

local startup = {}

local STEP = 0.01

--- `wait_ms` from the start of nginx on is the longest that a request waits.
function startup.start(state, wait_ms)
  startup.state = state
  startup.deadline = (state:get(keys.state.started_at) or 0) + wait_ms / 1000
  startup.over = false
end

--- True when requests may be served; false when the time is over and this gateway must be known first. Only in a phase that
--- may yield.
function startup.wait()
  while not startup.over do
    local serving, late = startup.state:get(keys.state.serving), clock.now() >= startup.deadline
    if not serving and late and departure.holds(startup.state) then return false end
    if serving or late then
      startup.state:safe_set(keys.state.serving, true)
      startup.over = true
    else
      ngx.sleep(STEP)
    end
  end
  return true
end

return startup
