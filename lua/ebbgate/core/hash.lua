--- 32-bit hashes, the same in every worker and on every gateway: who owns a key must not depend on who is asked.
---
--- `mix` is the finaliser of MurmurHash3 (Austin Appleby, 2008, public domain); `text` is one-at-a-time (Bob Jenkins,
--- "Hash functions", Dr. Dobb's, 1997) with `mix` at its end. Neither is a secret keeper.
local bit = require 'bit'

local bxor, lshift, rshift, tobit = bit.bxor, bit.lshift, bit.rshift, bit.tobit
local byte = string.byte

local hash = {}

--- x × (high × 2^16 + low) modulo 2^32; in two halves, because a double has 53 bits.
local function multiply(x, high, low)
  return tobit(lshift(tobit(x * high), 16) + tobit(x * low))
end

--- Spreads any 32 bits evenly, one to one; the result is signed.
function hash.mix(x)
  x = bxor(x, rshift(x, 16))
  x = multiply(x, 0x85eb, 0xca6b)
  x = bxor(x, rshift(x, 13))
  x = multiply(x, 0xc2b2, 0xae35)
  return bxor(x, rshift(x, 16))
end

--- A text to 32 signed bits; another `seed`, another hash.
function hash.text(text, seed)
  local x = seed or 0
  for i = 1, #text do
    x = tobit(x + byte(text, i))
    x = tobit(x + lshift(x, 10))
    x = bxor(x, rshift(x, 6))
  end
  x = tobit(x + lshift(x, 3))
  x = bxor(x, rshift(x, 11))
  return hash.mix(tobit(x + lshift(x, 15)))
end

return hash
