--- Lets requests run in the middle of long work.
---
--- Not by ngx.sleep(0): on an nginx without OpenResty's patch its timer is due within the same turn of the event loop, so
--- that nothing but timers runs (seen: ten thousand counters read in one go of 8 ms, "slice by slice").
local microseconds = require('ebbgate.worker.clock').microseconds

local pace = {}
pace.__index = pace

--- Microseconds of work between two rests.
local TURN = 250

function pace.new()
  return setmetatable({ began = microseconds() }, pace)
end

--- Call it between small steps. Yields for a millisecond once a turn's work is done.
function pace:rest()
  if microseconds() - self.began < TURN then return end
  ngx.sleep(0.001)
  self.began = microseconds()
end

return pace
