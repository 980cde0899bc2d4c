--- A gateway that has just started lets requests wait a moment, until it is known in Redis and has the newest sets. With
--- Redis away it serves what its disk had, unless it has left the roster (worker/report/departure.lua). After a reload, and in a
--- worker that replaces another, the gateway serves already.
local keys = require 'ebbgate.core.keys'
local clock = require 'ebbgate.worker.clock'
local departure = require 'ebbgate.worker.report.departure'
local live = require 'ebbgate.worker.live'

local startup = {}

local STEP = 0.01

--- When requests wait no longer, by clock.now: `wait_ms` after the start of nginx.
function startup.ends(state, wait_ms)
  return (state:get(keys.state.started_at) or 0) + wait_ms / 1000
end

--- True when requests may be served; false when the time is over and this gateway must be known first. Only in a phase that
--- may yield.
function startup.wait()
  local state = live.dicts.state
  while not live.serving do
    local serving, late = state:get(keys.state.serving), clock.now() >= live.serve_at
    if not serving and late and departure.is_marked(state) then return false end
    if serving or late then
      state:safe_set(keys.state.serving, true)
      live.serving = true
    else
      ngx.sleep(STEP)
    end
  end
  return true
end

return startup
