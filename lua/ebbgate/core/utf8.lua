--- UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
local byte, find, format, sub, concat = string.byte, string.find, string.format, string.sub, table.concat

local utf8 = {}

--- How many bytes the character at `i` of `text` has, or nil if none begins there.
local function length_at(text, i)
  local a, b, c, d = byte(text, i, i + 3)
  if a < 0x80 then return 1 end
  if a < 0xC2 or a > 0xF4 or not b then return nil end
  local low = a == 0xE0 and 0xA0 or a == 0xF0 and 0x90 or 0x80
  local high = a == 0xED and 0x9F or a == 0xF4 and 0x8F or 0xBF
  if b < low or b > high then return nil end
  if a < 0xE0 then return 2 end
  if not c or c < 0x80 or c > 0xBF then return nil end
  if a < 0xF0 then return 3 end
  if not d or d < 0x80 or d > 0xBF then return nil end
  return 4
end

--- `text` with %XX for every byte that is not part of a character.
function utf8.clean(text)
  if not find(text, '[\128-\255]') then return text end
  local parts, first, i = {}, 1, 1
  while i <= #text do
    local length = length_at(text, i)
    if not length then
      parts[#parts + 1] = sub(text, first, i - 1)
      parts[#parts + 1] = format('%%%02X', byte(text, i))
      first = i + 1
    end
    i = i + (length or 1)
  end
  if first == 1 then return text end
  parts[#parts + 1] = sub(text, first)
  return concat(parts)
end

return utf8
