--- When the current request began.
local clock = require 'ebbgate.worker.clock'

local request_clock = {}

local now, wall, start_time = clock.now, clock.wall, ngx.req.start_time

--- The moment of the request's first byte, by clock.now. Nginx notes it by the wall clock, so the difference is taken at once,
--- before anybody can set that.
function request_clock.began()
  local ago = wall() - start_time()
  return now() - (ago > 0 and ago or 0)
end

return request_clock
