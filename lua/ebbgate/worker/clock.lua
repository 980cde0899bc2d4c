--- The one module that knows what time it is.
---
--- Two clocks, never mixed. `now` never goes back and never jumps: every interval, deadline and age goes by it, in every
--- worker alike, since it counts from the start of the machine. `wall` is what people and other machines call the time;
--- somebody may set it at any moment, so nothing may wait for it.
---
--- The expiry of shared dictionaries goes by the wall clock too. So what must end is written with its end (worker/lease.lua).
local ffi = require 'ffi'

local clock = {}

local ngx = ngx
local MONOTONIC = 1
local time = ffi.new('int64_t[2]')
-- Other code may have declared it with another type: this fits all.
local time_pointer = ffi.cast('void *', time)

pcall(ffi.cdef, 'int clock_gettime(int clock, void *time);')

--- Microseconds of the clock that never goes back, read again.
function clock.microseconds()
  ffi.C.clock_gettime(MONOTONIC, time_pointer)
  return tonumber(time[0]) * 1e6 + tonumber(time[1]) / 1e3
end

--- nginx reads this clock once per turn of its loop, for its own timers, and keeps the milliseconds in a number that its modules
--- may read: looking there costs less than `ngx.now`. As two halves, because a whole one would be an object of its own.
pcall(ffi.cdef, 'extern uint32_t ebbgate_current_msec[2] __asm__("ngx_current_msec");')
local exported, cached = pcall(function() return ffi.C.ebbgate_current_msec end)

if exported and ffi.abi('le') then
  local halves = ffi.cast('volatile uint32_t *', cached)

  --- Seconds of the clock that never goes back, with a grain of a millisecond; it moves once per turn of nginx's loop.
  function clock.now()
    return (halves[0] + halves[1] * 4294967296) / 1000
  end
else
  function clock.now() return clock.microseconds() / 1e6 end
end

--- `now`, read again: for work that is done in one turn, and before a time is set for a socket.
function clock.fresh()
  ngx.update_time()
  return clock.now()
end

--- Unix seconds, with a grain of a millisecond.
function clock.wall() return ngx.now() end

--- A clock that was set by less than this is taken for one that runs a little fast or slow.
local STEP = 1
local difference

--- Unix seconds of a moment `at` of `now`, as the wall clock shows it today. Of one moment it is the same number each time,
--- unless the wall clock was set meanwhile.
function clock.wall_of(at)
  local found = ngx.now() - clock.now()
  if not difference or math.abs(found - difference) > STEP then difference = found end
  return at + difference
end

return clock
