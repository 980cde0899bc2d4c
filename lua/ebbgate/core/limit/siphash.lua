--- HalfSipHash-2-4 with 64 bits (Jean-Philippe Aumasson, Daniel J. Bernstein, "SipHash: a fast short-input PRF", 2012; the half
--- variant is of the same authors): whoever does not know the key cannot find two texts with one hash, and so not the text
--- that shares a limit with somebody else's.
local bit = require 'bit'

local bxor, bor, band, rol, lshift, tobit = bit.bxor, bit.bor, bit.band, bit.rol, bit.lshift, bit.tobit
local byte = string.byte

local function rounds(v0, v1, v2, v3, count)
  for _ = 1, count do
    v0 = tobit(v0 + v1)
    v1 = bxor(rol(v1, 5), v0)
    v0 = rol(v0, 16)
    v2 = tobit(v2 + v3)
    v3 = bxor(rol(v3, 8), v2)
    v0 = tobit(v0 + v3)
    v3 = bxor(rol(v3, 7), v0)
    v2 = tobit(v2 + v1)
    v1 = bxor(rol(v1, 13), v2)
    v2 = rol(v2, 16)
  end
  return v0, v1, v2, v3
end

--- The hash of `text` under the key `high`, `low`, as two signed numbers of 32 bits: high, low.
return function(text, high, low)
  local v0, v1, v2, v3 = low, bxor(high, 0xee), bxor(0x6c796765, low), bxor(0x74656462, high)
  local size = #text
  local whole = size - band(size, 3)
  for i = 1, whole, 4 do
    local a, b, c, d = byte(text, i, i + 3)
    local word = bor(a, lshift(b, 8), lshift(c, 16), lshift(d, 24))
    v0, v1, v2, v3 = rounds(v0, v1, v2, bxor(v3, word), 2)
    v0 = bxor(v0, word)
  end
  local last = lshift(size, 24)
  for i = whole + 1, size do last = bor(last, lshift(byte(text, i), 8 * (i - whole - 1))) end
  v0, v1, v2, v3 = rounds(v0, v1, v2, bxor(v3, last), 2)
  v0, v1, v2, v3 = rounds(bxor(v0, last), v1, bxor(v2, 0xee), v3, 4)
  local first = bxor(v1, v3)
  local _, second, _, last_word = rounds(v0, bxor(v1, 0xdd), v2, v3, 4)
  return bxor(second, last_word), first
end
