--- The PCRE of this machine, as nginx's `ngx.re` has it: for what core asks of patterns.
local ffi = require 'ffi'

ffi.cdef [[
  void *pcre2_compile_8(const char *pattern, size_t length, uint32_t options, int *code, size_t *offset, void *context);
  int pcre2_match_8(const void *code, const char *subject, size_t length, size_t start, uint32_t options, void *data,
    void *context);
  void *pcre2_match_data_create_8(uint32_t size, void *context);
]]

local C = ffi.load('libpcre2-8.so.0')
--- A dot is any character.
local DOTALL = 0x20

--- The function that says whether a whole text matches, as worker/pattern.lua makes it.
return function(text)
  local whole, code, offset = '^(?:' .. text .. ')\\z', ffi.new('int[1]'), ffi.new('size_t[1]')
  local made = C.pcre2_compile_8(whole, #whole, DOTALL, code, offset, nil)
  assert(made ~= nil, 'no pattern: ' .. text)
  local data = C.pcre2_match_data_create_8(4, nil)
  return function(value) return C.pcre2_match_8(made, value, #value, 0, 0, data, nil) > 0 end
end
