--- Arrays of numbers of one size, for tables of a million of them: a third of the memory, and the collector does not look inside.
---
--- They count from 0. The one module of core that may see `ffi`, which could do much more.
local ffi = require 'ffi'

local typed_array = {}

--- `typed_array.int32(size)`: all 0, signed.
typed_array.int32 = ffi.typeof('int32_t[?]')
--- `typed_array.uint16(size)`: all 0.
typed_array.uint16 = ffi.typeof('uint16_t[?]')

return typed_array
